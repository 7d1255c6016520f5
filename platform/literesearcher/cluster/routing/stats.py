"""What replicas say to routers, as the plain values that Ray carries.

Owns: both directions of two dictionaries: the metadata of a replica (`record_replica_metadata`: static) and its
routing stats (`record_routing_stats`: every 1 to 2 seconds, to every caller). The policy's parameters travel with the
stats: they reach callers that exist already, and change with the deployment's `user_config`, replacing no replica.
Refuses to know: Ray, when figures are stale. A replica that says nonsense has said nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeGuard

from literesearcher.cluster.routing.policy import Parameters
from literesearcher.engine.load import EngineLoad
from literesearcher.errors import ConfigurationError

_MOST = 1e15
"""Beyond it no figure is one, nor is what is no number: sums and products of those below stay finite."""
_POSITIVE = {"full", "options", "prefill_per_second"}
_SHARES = {"full", "hysteresis"}
"""At most the whole: 3 for three hundredths would let every pool run over."""


@dataclass(frozen=True, slots=True)
class ReplicaStats:
    """What a replica said."""

    load: EngineLoad
    leaving: float
    sequence: int
    """Goes up with every report: one that stands still was not made anew."""
    parameters: Parameters | None


def metadata(kv_tokens: int) -> dict[str, Any]:
    """For `record_replica_metadata`."""
    return {"kv_tokens": kv_tokens}


def weight_of(metadata: Mapping[str, Any]) -> float | None:
    """The size of the pool, None where it is not said."""
    weight = metadata.get("kv_tokens")
    return float(weight) if _number(weight) and weight > 0 else None


def report(
    load: EngineLoad, *, sequence: int, leaving: float = 0.0, parameters: Parameters | None = None
) -> dict[str, Any]:
    """For `record_routing_stats`."""
    said = {"load": asdict(load), "leaving": leaving, "sequence": sequence}
    return said if parameters is None else {**said, "parameters": asdict(parameters)}


def read(stats: Mapping[str, Any]) -> ReplicaStats | None:
    """What `report` wrote, None where that is not it."""
    load, leaving, sequence = stats.get("load"), stats.get("leaving"), stats.get("sequence")
    names = {field.name for field in fields(EngineLoad)}
    if not (isinstance(load, Mapping) and _number(leaving) and isinstance(sequence, int)):
        return None
    # A replica of another version may say more than is known here.
    known = {name: value for name, value in load.items() if name in names}
    if "kv_capacity" not in known or not all(_number(value) and value >= 0 for value in known.values()):
        return None
    try:
        parameters = read_parameters(stats["parameters"]) if "parameters" in stats else None
    except ConfigurationError:
        parameters = None
    return ReplicaStats(EngineLoad(**known), float(leaving), sequence, parameters)


def read_parameters(given: object) -> Parameters:
    """From an operator's `user_config`. ConfigurationError names what is wrong."""
    if not isinstance(given, Mapping):
        raise ConfigurationError("the router's parameters must be a mapping of names to numbers")
    known = {field.name: field for field in fields(Parameters)}
    for name, value in given.items():
        if name not in known:
            raise ConfigurationError(f"the router knows no parameter {name!r}; it knows {', '.join(known)}")
        if not _number(value) or value < 0 or (value == 0 and name in _POSITIVE):
            least = "above 0" if name in _POSITIVE else "of 0 or more"
            raise ConfigurationError(f"the router's parameter {name} must be a number {least}, not {value!r}")
        if value > 1 and name in _SHARES:
            raise ConfigurationError(f"the router's parameter {name} is a share, at most 1, not {value!r}")
        if name == "options" and value != int(value):
            raise ConfigurationError(f"the router's parameter options must be a whole number, not {value!r}")
    values: dict[str, Any] = {name: int(value) if name == "options" else float(value) for name, value in given.items()}
    return Parameters(**values)


def agreed(said: Iterable[Parameters | None]) -> Parameters:
    """Those that most replicas name (they change one replica after another); the defaults where none does."""
    votes = Counter(parameters for parameters in said if parameters is not None)
    return max(votes, key=lambda one: (votes[one], repr(one))) if votes else Parameters()


def _number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _MOST


class Reporter:
    """What one replica says. `configure` takes the part `routing` of its deployment's `user_config`."""

    def __init__(self) -> None:
        self._sequence = 0
        self._parameters: Parameters | None = None
        self.leaving = 0.0
        """Above 0: no new jobs come, and of those kept here this share goes elsewhere at each turn."""

    def configure(self, routing: object) -> None:
        """Take the operator's parameters. ConfigurationError names what is wrong; the ones before stay."""
        self._parameters = read_parameters(routing)

    def report(self, load: EngineLoad | None) -> dict[str, Any]:
        """For `record_routing_stats`. A runtime without a pool says nothing that a router could decide by."""
        self._sequence += 1
        if load is None:
            load = EngineLoad(kv_capacity=0)
        return report(load, sequence=self._sequence, leaving=self.leaving, parameters=self._parameters)
