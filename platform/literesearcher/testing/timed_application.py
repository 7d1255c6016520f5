"""The application `engine` of timed engines, as Serve's configuration names it: real routers, real replicas, no GPU.

Owns: the builder and the configuration of such an application. Refuses to know: which cluster runs it. Ray's processes
load it by `IMPORT_PATH`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from literesearcher.cluster.configuration import SERVE_ENVIRONMENT
from literesearcher.engine.port import Engine
from literesearcher.gateway.raw_model.engine_model import EngineModel
from literesearcher.testing.timed_engine import TimedEngine, Timing
from literesearcher.testing.timed_script import ResearchScript
from literesearcher.timing.clock import SystemClock

if TYPE_CHECKING:
    from literesearcher.cluster.engine_http import EngineHttp

IMPORT_PATH = "literesearcher.testing.timed_application:engine"
DEPLOYMENT = "Engine"
FACE_SECONDS = 600.0
"""One request over HTTP at most."""


def engine(args: Mapping[str, Any]) -> Any:
    """`timing` and `script` are the fields of `Timing` and the arguments of `ResearchScript`; with a `token` replicas
    have an HTTP face."""
    from literesearcher.cluster.applications import engine_application

    make = partial(timed_engine, dict(args["timing"]), dict(args.get("script", {})))
    return engine_application(make, partial(timed_face, args["token"]) if "token" in args else None)


def timed_engine(timing: Mapping[str, Any], script: Mapping[str, Any]) -> TimedEngine:
    """Runs in the replica."""
    return TimedEngine(Timing(**timing), script=ResearchScript(**script))


def timed_face(token: str, engine: Engine) -> EngineHttp:
    """Runs in the replica."""
    from literesearcher.cluster.engine_http import EngineHttp

    return EngineHttp(engine, EngineModel(engine, clock=SystemClock(), seconds=FACE_SECONDS), token)


def timed_configuration(
    name: str,
    timing: Timing,
    *,
    replicas: int,
    script: Mapping[str, Any] | None = None,
    routing: Mapping[str, Any] | None = None,
    token: str | None = None,
    **options: Any,
) -> dict[str, Any]:
    """One application for Serve's configuration. `routing`: the router's parameters; `token`: what
    callers over HTTP need, at the route of the application's name; `options`: the deployment's."""
    deployment: dict[str, Any] = {
        "name": DEPLOYMENT,
        "num_replicas": replicas,
        "max_ongoing_requests": 64,
        "health_check_period_s": 1,
        "graceful_shutdown_wait_loop_s": 0.2,
        "ray_actor_options": {"num_cpus": 0.1, "runtime_env": {"env_vars": dict(SERVE_ENVIRONMENT)}},
        "user_config": {} if routing is None else {"routing": dict(routing)},
        "request_router_config": {
            "request_router_class": "literesearcher.cluster.routing.router.PrefixRouter",
            "request_routing_stats_period_s": 0.5,
        },
        **options,
    }
    return {
        "name": name,
        "route_prefix": None if token is None else f"/{name}",
        "import_path": IMPORT_PATH,
        "args": {"timing": asdict(timing), "script": dict(script or {})} | ({} if token is None else {"token": token}),
        "deployments": [deployment],
    }
