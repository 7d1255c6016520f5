"""Serve in a Ray cluster, as an operator sees it: give it a configuration, see what runs, drain a node, shut it down.

Owns: the connection of this process as a driver, the states of applications, deployments and replicas as plain values.
Refuses to know: settings, what is printed. Blocking, as Ray's own interface is: callers use a thread. Uses the client
class behind Serve's own command line, which is why Ray is pinned.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from literesearcher.cluster.release import require_ray
from literesearcher.errors import BoundaryError, ConfigurationError

_HEAD = 240
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
    """One application. `blocked`: why it is not as it should be, "" where it is."""

    name: str
    state: str
    replicas: tuple[Replica, ...]
    wanted: int
    blocked: str

    @property
    def healthy(self) -> bool:
        """All that it wants runs, and nothing else."""
        return self.state == "RUNNING" and sum(one.state == "RUNNING" for one in self.replicas) >= self.wanted


@dataclass(frozen=True, slots=True)
class Node:
    """A live node."""

    id: str
    ip: str
    gpus: int


@contextlib.contextmanager
def connected(address: str) -> Iterator[ServeOperator]:
    """This process as a driver of the cluster at `address`. ConfigurationError where Ray is missing or another here or
    there; BoundaryError `ray_unreachable`."""
    require_ray()
    import ray
    from ray.exceptions import AuthenticationError

    # Ray says on its own what callers are told in a sentence; Serve turns itself up when it is imported.
    importlib.import_module("ray.serve")
    for name in ("ray", "ray.serve"):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        ray.init(
            address=address,
            namespace="literesearcher",
            configure_logging=False,
            logging_level=logging.ERROR,
            log_to_driver=False,
        )
    except AuthenticationError:
        raise BoundaryError(
            f"Ray at {address} does not let this process in: RAY_AUTH_TOKEN must be the cluster's", code="ray_refused"
        ) from None
    except (ConnectionError, TimeoutError, ValueError) as error:
        raise BoundaryError(f"there is no Ray at {address} ({type(error).__name__})", code="ray_unreachable") from None
    except RuntimeError as error:
        said = " ".join(str(error).split())
        if "ersion" in said:
            raise ConfigurationError(f"Ray at {address} is another version: {said[:300]}", code="ray_version") from None
        raise BoundaryError(f"Ray at {address} cannot be used: {said[:300]}", code="ray_unreachable") from None
    try:
        yield ServeOperator()
    finally:
        ray.shutdown()


class ServeOperator:
    """Inside `connected`."""

    def nodes(self) -> list[Node]:
        """The live ones."""
        import ray

        found: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
        return [
            Node(one["NodeID"], one["NodeManagerAddress"], int(one["Resources"].get("GPU", 0)))
            for one in found
            if one["Alive"]
        ]

    def apply(self, configuration: dict[str, Any]) -> None:
        """Make the cluster run this. An application whose part is as before is left alone; returns at once."""
        from ray.serve._private.api import serve_start
        from ray.serve.schema import ServeDeploySchema

        schema = ServeDeploySchema.model_validate(configuration)
        client = serve_start(
            http_options=configuration["http_options"],
            proxy_location=configuration["proxy_location"],
            global_logging_config=configuration["logging_config"],
        )
        client.deploy_apps(schema)

    def running(self) -> list[Running]:
        """Every application, none where Serve does not run."""
        details = self._details()
        return [_application(name, found) for name, found in sorted(details.get("applications", {}).items())]

    def proxies(self) -> list[tuple[str, str, str]]:
        """Node's address, state and actor name of each HTTP proxy."""
        found = self._details().get("proxies", {}).values()
        return [(one["node_ip"], _word(one["status"]), one["actor_name"]) for one in found]

    def drain(self, node: str, until: datetime) -> None:
        """Put nothing more on the node; replicas elsewhere take over, and those on it end when their calls have.
        BoundaryError `drain_refused`."""
        import ray
        from ray._raylet import GcsClient  # type: ignore[attr-defined]

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

    def shut_down(self) -> None:
        """Every application; current calls end first, within their bounds."""
        from ray import serve

        serve.shutdown()  # type: ignore[no-untyped-call]

    def _details(self) -> dict[str, Any]:
        from ray.serve.context import _get_global_client

        client = _get_global_client(raise_if_no_controller_running=False)
        found: dict[str, Any] = client.get_serve_details() if client is not None else {}
        return found


def _shortened(said: str) -> str:
    """How it begins, and how it ends where it holds a traceback: there stands what went wrong."""
    head = said[:_HEAD]
    return said if len(said) <= 2 * _HEAD else f"{head} ... {said[-_HEAD:]}"


def _word(state: Any) -> str:
    """Of one of Serve's enumerations."""
    return str(getattr(state, "value", state))


def _application(name: str, details: dict[str, Any]) -> Running:
    replicas: list[Replica] = []
    wanted = 0
    said = [details.get("message") or ""]
    for deployment in details["deployments"].values():
        wanted += deployment.get("target_num_replicas") or 0
        if _word(deployment["status"]) != "HEALTHY":
            said.append(deployment.get("message") or "")
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
    blocked = _shortened(" ".join(" ".join(said).split()))
    return Running(name, _word(details["status"]), tuple(replicas), wanted, blocked)
