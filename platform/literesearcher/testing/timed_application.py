"""The application `engine` of timed engines, as Serve's configuration names it: real routers, real replicas, no GPU.

Owns: the builder and the configuration of such an application. Refuses to know: which cluster runs it. Ray's processes
load it by `IMPORT_PATH`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from literesearcher.testing.timed_engine import TimedEngine, Timing
from literesearcher.testing.timed_script import ResearchScript

IMPORT_PATH = "literesearcher.testing.timed_application:engine"
DEPLOYMENT = "Engine"


def engine(args: Mapping[str, Any]) -> Any:
    """`timing` and `script` are the fields of `Timing` and the arguments of `ResearchScript`."""
    from literesearcher.cluster.applications import engine_application

    return engine_application(partial(timed_engine, dict(args["timing"]), dict(args.get("script", {}))))


def timed_engine(timing: Mapping[str, Any], script: Mapping[str, Any]) -> TimedEngine:
    """Runs in the replica."""
    return TimedEngine(Timing(**timing), script=ResearchScript(**script))


def timed_configuration(
    name: str,
    timing: Timing,
    *,
    replicas: int,
    script: Mapping[str, Any] | None = None,
    routing: Mapping[str, Any] | None = None,
    **options: Any,
) -> dict[str, Any]:
    """One application for Serve's configuration. `routing`: the router's parameters; `options`: the deployment's."""
    deployment: dict[str, Any] = {
        "name": DEPLOYMENT,
        "num_replicas": replicas,
        "max_ongoing_requests": 64,
        "health_check_period_s": 1,
        "graceful_shutdown_wait_loop_s": 0.2,
        "ray_actor_options": {"num_cpus": 0.1},
        "user_config": {} if routing is None else {"routing": dict(routing)},
        "request_router_config": {
            "request_router_class": "literesearcher.cluster.routing.router.PrefixRouter",
            "request_routing_stats_period_s": 0.5,
        },
        **options,
    }
    return {
        "name": name,
        "route_prefix": None,
        "import_path": IMPORT_PATH,
        "args": {"timing": asdict(timing), "script": dict(script or {})},
        "deployments": [deployment],
    }
