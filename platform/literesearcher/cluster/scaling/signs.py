"""What the policies decided, where it can be seen: gauges of Ray's metrics, and a line of `cluster status`.

Owns: how often it is written, and the note in Ray's own key-value store by which other processes read it: it leaves
with the cluster, and Serve's own details hold no word of a custom policy. Refuses to know: the rules. The controller
is not to be held up: a write is a millisecond, and comes when the number changes, else each two seconds.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from literesearcher.cluster.scaling.steps import Decision
from literesearcher.telemetry.scaling_metrics import DeclaredGauge, ScalingMetrics, Set
from literesearcher.timing.clock import Clock

WRITE_SECONDS = 2.0
OLD = timedelta(seconds=30)
"""A note that was not written for so long is of a policy that is gone."""
_NAMESPACE = b"literesearcher"


@dataclass(frozen=True, slots=True)
class Sign:
    """The last decision of an application's policy. `at`: seconds since the epoch."""

    replicas: int
    reason: str
    terms: Mapping[str, float]
    at: float

    def line(self) -> str:
        """For an operator."""
        terms = ", ".join(f"{name} {value:.2g}" for name, value in sorted(self.terms.items()) if name != "demand")
        return f"wants {self.replicas}, {self.reason}" + (f": {terms}" if terms else "")


class Signs:
    """Of one policy, in the controller."""

    def __init__(
        self,
        application: str,
        clock: Clock,
        *,
        make: Callable[[DeclaredGauge], Set] | None = None,
        write: Callable[[str, bytes], None] | None = None,
    ) -> None:
        self._application = application
        self._clock = clock
        if make is None:
            # Here, since replicas load this room too, and have no use for it.
            from literesearcher.cluster.ray_metrics import ray_gauge

            make = ray_gauge
        self._metrics = ScalingMetrics(application, make)
        self._write = write or _write
        self._written: tuple[int, float] | None = None

    def show(self, decision: Decision, reason: str) -> None:
        """Called at every decision. `reason` is the decision's, or `blocked`."""
        now = self._clock.monotonic()
        if self._written is not None:
            replicas, at = self._written
            if replicas == decision.replicas and now - at < WRITE_SECONDS:
                return
        self._written = decision.replicas, now
        terms = {name: value for name, value in decision.terms.items() if math.isfinite(value)}
        self._metrics.decided(decision.replicas, reason, terms)
        sign = Sign(decision.replicas, reason, terms, self._clock.now().timestamp())
        self._write(self._application, json.dumps(asdict(sign)).encode())


def read_sign(application: str, now: datetime) -> Sign | None:
    """In a process that is connected to the cluster. None where there is none, or an old one."""
    from ray.experimental.internal_kv import _internal_kv_get

    return parsed(_internal_kv_get(_key(application), namespace=_NAMESPACE), now)


def parsed(note: bytes | None, now: datetime) -> Sign | None:
    """What `Signs` wrote."""
    if note is None:
        return None
    try:
        said: dict[str, Any] = json.loads(note)
        sign = Sign(int(said["replicas"]), str(said["reason"]), dict(said["terms"]), float(said["at"]))
        all_numbers = all(math.isfinite(value) for value in sign.terms.values())
    except (ArithmeticError, KeyError, TypeError, ValueError):
        return None
    return sign if all_numbers and now.timestamp() - sign.at <= OLD.total_seconds() else None


def _key(application: str) -> bytes:
    return f"scaling/{application}".encode()


def _write(application: str, note: bytes) -> None:
    from ray.exceptions import RayError
    from ray.experimental.internal_kv import _internal_kv_put

    try:
        _internal_kv_put(_key(application), note, overwrite=True, namespace=_NAMESPACE)
    except (RayError, OSError, RuntimeError):
        # Nobody sees it for a while; the number of replicas does not hang on it.
        return
