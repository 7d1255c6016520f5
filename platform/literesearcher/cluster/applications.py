"""The applications as Ray Serve sees them: a replica's class bound to what it holds, and the way to call one.

Owns: which class each application is made of. Refuses to know: what stands behind the ports (`cli.wiring_cluster` hands
factories in, which run in the replicas), replica counts and resources (`configuration`). Ray's processes load it.
"""

from __future__ import annotations

from typing import Any

from ray import serve
from ray.serve import Application
from ray.serve.handle import DeploymentHandle

from literesearcher.cluster.configuration import DEPLOYMENTS, ENGINE, ORCHESTRATOR, TOOLS


def engine_application(make: Any, face: Any = None) -> Application:
    """`make()` gives a replica's engine, `face(engine)` its `EngineHttp`; without it there is no HTTP face."""
    from literesearcher.cluster.engine_app import EngineReplica

    return _bound(EngineReplica, ENGINE, make, face)


def tools_application(opening: Any) -> Application:
    """`opening()` opens a replica's tools."""
    from literesearcher.cluster.tools_app import ToolsReplica

    return _bound(ToolsReplica, TOOLS, opening)


def orchestrator_application(opening: Any) -> Application:
    """`opening()` opens a replica's worker."""
    from literesearcher.cluster.orchestrator_app import OrchestratorReplica

    return _bound(OrchestratorReplica, ORCHESTRATOR, opening)


def handle_of(name: str) -> DeploymentHandle[Any]:
    """How replicas of one application call another; it need not run yet."""
    return serve.get_deployment_handle(DEPLOYMENTS[name], name)


def _bound(replica: type, name: str, *factories: Any) -> Application:
    deployment: Any = serve.deployment(replica, name=DEPLOYMENTS[name])
    application: Application = deployment.bind(*factories)
    return application
