"""Serve's configuration of the three applications, from the settings: the one generator of it.

Owns: names, import paths, which settings each application is given (so that a change of one restarts no other),
replicas, resources, drains. Refuses to know: Ray (the result is plain data, in the form that `serve deploy` and
RayService's `serveConfigV2` take), how it is applied. No secret is in it: secrets are in the environment of the nodes.
"""

from __future__ import annotations

from typing import Any

from literesearcher.cluster.routing.stats import read_parameters
from literesearcher.errors import ConfigurationError
from literesearcher.settings.environment import plain_environment
from literesearcher.settings.model import Settings
from literesearcher.settings.own_site import is_loopback

BUILDERS = "literesearcher.cli.wiring_cluster"
"""The module that builds the applications; loaded by Ray's processes."""
ROUTER = "literesearcher.cluster.routing.router.PrefixRouter"
STATS_SECONDS = 1.0
"""How often a replica says its load to the routers."""
ENGINE, TOOLS, ORCHESTRATOR = "engine", "tools", "orchestrator"
DEPLOYMENTS = {ENGINE: "Engine", TOOLS: "Tools", ORCHESTRATOR: "Orchestrator"}
PROVIDERS = ("serper", "searxng", "brave", "tavily", "direct", "jina", "scrapedo", "firecrawl")
POLICIES = "literesearcher.cluster.scaling.ray_policies"
MODEL = ("sglang.model_path", "sglang.model_id", "sglang.model_revision")
"""Where the checkpoint is, and so its tokenizer."""
SECTIONS = {
    ENGINE: ("", "engine", "sglang", "research.system_prompt_file"),
    TOOLS: ("", "redis", "engine", "extractor", *MODEL, "tools", "corpus", "research", *PROVIDERS),
    ORCHESTRATOR: (
        "",
        "store",
        "redis",
        "engine",
        "compressor",
        *MODEL,
        "tools.repeats",
        "admission",
        "budgets",
        "research",
        "orchestrator",
    ),
}
"""What each application reads: sections, "" for what stands in none, and single fields."""
ENGINE_CALLS = 512
"""Turns that one engine replica takes at once; its own scheduler decides how many of them run."""
TOOL_CALLS = 256
TOOL_CALLS_AIM = 64
"""Calls at once that one replica is taken to bear: most of a call is waiting for a provider."""
MESSAGE_BYTES = 64 * 1024 * 1024
SERVE_ENVIRONMENT = {
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    # Else each replica would listen for HTTP itself, beside Serve's own port.
    "RAY_SERVE_ENABLE_DIRECT_INGRESS": "0",
    # Else what replicas have to say stands in files of Ray's alone.
    "RAY_SERVE_LOG_TO_STDERR": "1",
    # gRPC's own 4 MB would not hold the history of a job with a long context.
    "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH": str(MESSAGE_BYTES),
}
"""Of replicas alone: calls between them go by gRPC and in one event loop, at a third of the CPU. No driver may have it:
it breaks one without an event loop (the command line)."""
HEALTH_PERIOD_SECONDS = 5.0
DRAIN_LOOK_SECONDS = 0.5
SURGE_PERCENT = 100
"""On a redeploy replicas stop when others of the next version are ready, so one that never is leaves the old ones."""
HAND_BACK_SECONDS = 15.0
"""For handing jobs back, beyond the grace that their steps get."""


def serve_configuration(settings: Settings) -> dict[str, Any]:
    """The whole configuration. ConfigurationError where no cluster could run it."""
    check(settings)
    section = settings.cluster
    return {
        "proxy_location": "EveryNode",
        "http_options": {"host": section.http_host, "port": section.http_port},
        "logging_config": {"log_level": "WARNING", "enable_access_log": False},
        "applications": [
            _application(
                settings,
                ENGINE,
                _replicas(
                    section.engine_min_replicas,
                    section.engine_max_replicas,
                    "EnginePolicy",
                    start_seconds=section.start_seconds,
                    context_length=settings.sglang.context_length,
                ),
                max_ongoing_requests=ENGINE_CALLS,
                graceful_shutdown_timeout_s=section.drain_seconds,
                health_check_timeout_s=settings.sglang.health_seconds + HEALTH_PERIOD_SECONDS,
                max_surge_percent=_engine_surge(settings),
                user_config={"routing": dict(section.routing)},
                request_router_config={"request_router_class": ROUTER, "request_routing_stats_period_s": STATS_SECONDS},
                ray_actor_options=_engine_resources(settings),
            ),
            _application(
                settings,
                TOOLS,
                _replicas(
                    section.tools_min_replicas,
                    section.tools_max_replicas,
                    "ToolsPolicy",
                    calls=TOOL_CALLS_AIM,
                ),
                max_surge_percent=SURGE_PERCENT,
                max_ongoing_requests=TOOL_CALLS,
                graceful_shutdown_timeout_s=section.drain_seconds,
                ray_actor_options=_actor(num_cpus=0.5),
            ),
            _application(
                settings,
                ORCHESTRATOR,
                _replicas(
                    section.orchestrator_min_replicas,
                    section.orchestrator_max_replicas,
                    "OrchestratorPolicy",
                    jobs=settings.research.max_concurrent_jobs,
                ),
                max_surge_percent=SURGE_PERCENT,
                graceful_shutdown_timeout_s=settings.orchestrator.grace_seconds + HAND_BACK_SECONDS,
                ray_actor_options=_actor(num_cpus=0.5),
            ),
        ],
    }


def check(settings: Settings) -> None:
    """What can be known before any node is asked. ConfigurationError in a sentence."""
    section = settings.cluster
    try:
        read_parameters(section.routing)
    except ConfigurationError as error:
        raise ConfigurationError(f"LITERESEARCHER_CLUSTER__ROUTING: {error.message}") from None
    if section.gpus_per_node is not None and engine_gpus(settings) > section.gpus_per_node:
        raise ConfigurationError(
            f"one engine replica needs {engine_gpus(settings)} GPUs of one node, and a node has "
            f"{section.gpus_per_node}: lower LITERESEARCHER_SGLANG__TENSOR_PARALLEL"
        )
    for name in DEPLOYMENTS:
        low, high = (getattr(section, f"{name}_{end}_replicas") for end in ("min", "max"))
        if low > high:
            prefix = f"LITERESEARCHER_CLUSTER__{name.upper()}"
            raise ConfigurationError(f"{prefix}_MIN_REPLICAS is {low}, above {prefix}_MAX_REPLICAS, which is {high}")
    if section.token is None and not is_loopback(section.http_host):
        raise ConfigurationError(
            f"Serve's HTTP port on {section.http_host} could be used by others: set LITERESEARCHER_CLUSTER__TOKEN, "
            "or LITERESEARCHER_CLUSTER__HTTP_HOST=127.0.0.1"
        )
    if settings.tools.url is not None:
        raise ConfigurationError(
            "LITERESEARCHER_TOOLS__URL names a tool proxy elsewhere, but a cluster has its own: leave one of them out"
        )


def engine_gpus(settings: Settings) -> int:
    """GPUs of one engine replica, all on one node."""
    if settings.engine_kind == "sglang" and settings.sglang.device == "cuda":
        return settings.sglang.tensor_parallel
    return 0


def _engine_surge(settings: Settings) -> int:
    """A replica with a model of its own needs the place of another beside it, and waits for ever where none is free."""
    if settings.cluster.engine_surge_percent is not None:
        return settings.cluster.engine_surge_percent
    return 0 if settings.engine_kind == "sglang" else SURGE_PERCENT


def _engine_resources(settings: Settings) -> dict[str, Any]:
    gpus = engine_gpus(settings)
    resources = _actor(num_cpus=1 if gpus else 0.5)
    if gpus:
        resources["num_gpus"] = gpus
    if settings.cluster.engine_python is not None:
        resources["runtime_env"]["py_executable"] = str(settings.cluster.engine_python)
    return resources


def _actor(*, num_cpus: float) -> dict[str, Any]:
    return {"num_cpus": num_cpus, "runtime_env": {"env_vars": dict(SERVE_ENVIRONMENT)}}


def _replicas(low: int, high: int, policy: str, **arguments: Any) -> dict[str, Any]:
    """A number, or bounds and our policy. It has patience of its own, so Serve's is none."""
    if low == high:
        return {"num_replicas": low}
    return {
        "autoscaling_config": {
            "min_replicas": low,
            "max_replicas": high,
            "metrics_interval_s": 1.0,
            "look_back_period_s": 5.0,
            "upscale_delay_s": 0.0,
            "downscale_delay_s": 0.0,
            "policy": {"policy_function": f"{POLICIES}:{policy}", "policy_kwargs": arguments},
        }
    }


def _application(settings: Settings, name: str, replicas: dict[str, Any], **options: Any) -> dict[str, Any]:
    deployment = {
        "name": DEPLOYMENTS[name],
        **replicas,
        "graceful_shutdown_wait_loop_s": DRAIN_LOOK_SECONDS,
        "health_check_period_s": HEALTH_PERIOD_SECONDS,
        **options,
    }
    return {
        "name": name,
        "route_prefix": f"/{name}" if name == ENGINE else None,
        "import_path": f"{BUILDERS}:{name}",
        "args": {"settings": plain_environment(settings, SECTIONS[name])},
        "deployments": [deployment],
    }
