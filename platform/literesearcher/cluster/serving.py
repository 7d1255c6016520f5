"""Serve in a Ray cluster, as an operator sees it: give it a configuration, see what runs, drain a node, shut it down.

Owns: the connection of this process as a driver, the states of applications, deployments and replicas as plain values,
Ray's failures as BoundaryErrors. Refuses to know: settings, what is printed. Blocking, as Ray's own interface is:
callers use a thread. Uses the client class behind Serve's own command line, which is why Ray is pinned.
Neighbours: `reachability` (asked before joining), `failed_starts` (what a replica died of), `shortage` (what it waits
for).
"""

from __future__ import annotations

import contextlib
import importlib
import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from literesearcher.cluster import failed_starts
from literesearcher.cluster.reachability import find_ray
from literesearcher.cluster.scaling.signs import read_sign
from literesearcher.cluster.shortage import shortage, waiting
from literesearcher.errors import BoundaryError, ConfigurationError
from literesearcher.timing.clock import Clock, SystemClock

T = TypeVar("T")
PREEMPTION = 2
"""`DrainNodeReason` of Ray that no node may refuse."""


@dataclass(frozen=True, slots=True)
class Replica:
    """One replica process. `node`: hex id, "" until it has one."""

    name: str
    deployment: str
    state: str
    pid: int | None
    node: str
    node_ip: str


@dataclass(frozen=True, slots=True)
class Running:
    """One application. `blocked`: why it is not as it should be, "" where it is. `refused`: where its replicas do not
    start since a setting is wrong, the sentence that says which."""

    name: str
    state: str
    replicas: tuple[Replica, ...]
    wanted: int
    blocked: str
    refused: str = ""

    @property
    def healthy(self) -> bool:
        """All that it wants runs, and nothing else."""
        return self.state == "RUNNING" and sum(one.state == "RUNNING" for one in self.replicas) >= self.wanted


@dataclass(frozen=True, slots=True)
class Node:
    """A live node. `metrics`: the page for Prometheus with the metrics of all processes on it."""

    id: str
    ip: str
    gpus: int
    metrics: str


@contextlib.contextmanager
def connected(address: str) -> Iterator[ServeOperator]:
    """This process as a driver of the cluster at `address`. Raises as `find_ray`."""
    address = find_ray(address)
    import ray

    # Ray says on its own what callers are told in a sentence; Serve turns itself up when it is imported.
    importlib.import_module("ray.serve")
    for name in ("ray", "ray.serve"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with _answering(address):
        try:
            ray.init(
                address=address,
                namespace="literesearcher",
                configure_logging=False,
                logging_level=logging.ERROR,
                log_to_driver=False,
            )
        except RuntimeError as error:
            said = " ".join(str(error).split())[:300]
            if "ersion" in said:
                raise ConfigurationError(f"Ray at {address} is another version: {said}", code="ray_version") from None
            raise BoundaryError(f"Ray at {address} cannot be used: {said}", code="ray_unreachable") from None
    try:
        yield ServeOperator(address)
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _answering(address: str) -> Iterator[None]:
    """What Ray raises when it is going, or has gone."""
    from ray.exceptions import RayError
    from ray.serve.exceptions import RayServeException

    try:
        yield
    except (RayError, RayServeException, ConnectionError, TimeoutError, ValueError) as error:
        raise BoundaryError(
            f"Ray at {address} does not answer any more ({type(error).__name__})", code="ray_unreachable"
        ) from None


class ServeOperator:
    """Inside `connected`. Every method raises BoundaryError `ray_unreachable` where Ray has gone."""

    def __init__(self, address: str, clock: Clock | None = None) -> None:
        self._answering = partial(_answering, address)
        self._clock = clock or SystemClock()

    def nodes(self) -> list[Node]:
        """The live ones."""
        import ray

        with self._answering():
            found: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
        return [
            Node(
                one["NodeID"],
                one["NodeManagerAddress"],
                int(one["Resources"].get("GPU", 0)),
                f"http://{one['NodeManagerAddress']}:{one['MetricsExportPort']}/metrics",
            )
            for one in found
            if one["Alive"]
        ]

    def ask(self, seconds: float, nodes: Collection[Node], question: Callable[..., T], *arguments: object) -> list[T]:
        """What a function of an installed package says within so long on each of the nodes. ConfigurationError where
        it is not installed there."""
        import ray
        from ray.exceptions import RayTaskError
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        asked: Any = ray.remote(question)
        with self._answering():
            answers = [
                asked.options(
                    num_cpus=0, max_retries=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False)
                ).remote(*arguments)
                for node in nodes
            ]
            try:
                found: list[T] = ray.get(answers, timeout=seconds)
            except RayTaskError as error:
                raise ConfigurationError(
                    f"a node of the cluster cannot run this version: {failed_starts.sentence(str(error))}"
                ) from None
        return found

    def apply(self, configuration: dict[str, Any]) -> None:
        """Make the cluster run this. An application whose part is as before is left alone; returns at once."""
        from ray.exceptions import ActorAlreadyExistsError
        from ray.serve._private.api import serve_start
        from ray.serve.schema import ServeDeploySchema

        schema = ServeDeploySchema.model_validate(configuration)
        start = partial(
            serve_start,
            http_options=configuration["http_options"],
            proxy_location=configuration["proxy_location"],
            global_logging_config=configuration["logging_config"],
        )
        with self._answering():
            try:
                client = start()
            except ActorAlreadyExistsError:
                # Another command started Serve at the same moment; this one finds it.
                client = start()
            client.deploy_apps(schema)

    def running(self) -> list[Running]:
        """Every application, none where Serve does not run."""
        found = self.details()
        now = self._clock.now().timestamp()
        short = any(waiting(one, now) for details in found.values() for one in details["deployments"].values())
        free = self._free() if short else ()
        return [_application(name, details, free, now) for name, details in sorted(found.items())]

    def details(self) -> dict[str, Any]:
        """Serve's own details of every application by its name."""
        found: dict[str, Any] = self._details().get("applications", {})
        return found

    def sign(self, application: str, now: datetime) -> str:
        """What its scaling policy decided last and by what, "" where it has none."""
        with self._answering():
            sign = read_sign(application, now)
        return sign.line() if sign is not None else ""

    def proxies(self) -> list[tuple[str, str, str]]:
        """Node's address, state and actor name of each HTTP proxy."""
        found = self._details().get("proxies", {}).values()
        return [(one["node_ip"], _word(one["status"]), one["actor_name"]) for one in found]

    def drain(self, node: str, until: datetime) -> None:
        """Put nothing more on the node; replicas elsewhere take over, and those on it end when their calls have.
        BoundaryError `drain_refused`."""
        import ray
        from ray._raylet import GcsClient  # type: ignore[attr-defined]

        with self._answering():
            client = GcsClient(address=ray.get_runtime_context().gcs_address)
            accepted, why = client.drain_node(
                node,
                PREEMPTION,
                "literesearcher cluster drain",
                int(until.timestamp() * 1000),
            )
        if not accepted:
            raise BoundaryError(f"the node cannot be drained: {why}", code="drain_refused")

    def leave(self, application: str, deployment: str, node: str) -> None:
        """Tell the replicas of a deployment that the node is to be left. Those who are gone need not be told."""
        from ray import serve
        from ray.exceptions import RayError
        from ray.serve.exceptions import RayServeException

        with contextlib.suppress(RayError, RayServeException):
            serve.get_deployment_handle(deployment, application).broadcast("leave", node).results()

    def shut_down(self, ours: Collection[str]) -> None:
        """These applications, and Serve with them where it runs no others; current calls end first, within their
        bounds."""
        from ray import serve
        from ray.serve.context import _get_global_client

        running = {one.name for one in self.running()}
        with self._answering():
            if not running - set(ours):
                serve.shutdown()  # type: ignore[no-untyped-call]
                return
            client = _get_global_client()
            assert client is not None
            client.delete_apps(sorted(running & set(ours)))

    def _free(self) -> Collection[Mapping[str, float]]:
        from ray._private.state import available_resources_per_node

        with self._answering():
            found: dict[str, dict[str, float]] = available_resources_per_node()  # type: ignore[no-untyped-call]
        return found.values()

    def _details(self) -> dict[str, Any]:
        from ray.serve.context import _get_global_client

        with self._answering():
            client = _get_global_client(raise_if_no_controller_running=False)
            found: dict[str, Any] = client.get_serve_details() if client is not None else {}
        return found


def _word(state: Any) -> str:
    """Of one of Serve's enumerations."""
    return str(getattr(state, "value", state))


def _application(name: str, details: dict[str, Any], free: Collection[Mapping[str, float]], now: float) -> Running:
    replicas: list[Replica] = []
    wanted = 0
    why = ""
    for deployment in details["deployments"].values():
        wanted += deployment.get("target_num_replicas") or 0
        if _word(deployment["status"]) != "HEALTHY":
            why = shortage(deployment, free, now) or deployment.get("message") or why
        replicas += [
            Replica(
                one["replica_id"],
                deployment["name"],
                _word(one["state"]),
                one.get("pid"),
                one.get("node_id") or "",
                one.get("node_ip") or "",
            )
            for one in deployment["replicas"]
        ]
    return Running(
        name,
        _word(details["status"]),
        tuple(replicas),
        wanted,
        failed_starts.sentence(why or details.get("message") or ""),
        failed_starts.refusal(why),
    )
