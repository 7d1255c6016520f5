"""Which raw model stands behind the OpenAI routes of a gateway, and behind the HTTP face of an engine replica.

Owns: that an engine which lives in this process answers there itself, and where a gateway finds one that lives in a
cluster's replicas. Refuses to know: what is asked. Neighbours: `wiring_engine`, `wiring_cluster`, `services`.
"""

from __future__ import annotations

from literesearcher.cli.serving import address
from literesearcher.engine.port import Engine
from literesearcher.errors import ConfigurationError
from literesearcher.gateway.raw_model.engine_model import EngineModel
from literesearcher.gateway.raw_model.port import RawModel
from literesearcher.gateway.upstream import Upstream
from literesearcher.settings.model import Settings
from literesearcher.settings.sections import EngineSection
from literesearcher.timing.clock import Clock

RUNTIMES = ("sglang", "transformers")
"""Engines that hold the model themselves; the others ask a server, or have none."""
ANY_HOST = {"0.0.0.0": "127.0.0.1", "::": "::1"}
ROUTE = "/engine/v1"
"""Where the application `engine` speaks OpenAI's form."""


def raw_model(settings: Settings, engine: Engine, clock: Clock) -> RawModel:
    """The model of the process that holds `engine`, which the ENGINE section made."""
    if settings.engine_kind in RUNTIMES:
        return EngineModel(engine, clock=clock, seconds=settings.engine.request_timeout_seconds)
    return Upstream(settings.engine, clock=clock)


def of_a_gateway_alone(settings: Settings) -> Settings:
    """For a process that holds no runtime: the one that is named is asked at ENGINE__BASE_URL, or else at the HTTP
    port of the engine application, with the token of the cluster. ConfigurationError where neither is known."""
    if settings.engine_kind not in RUNTIMES:
        return settings
    section, cluster = settings.engine, settings.cluster
    base, key = section.base_url, section.api_key
    if base is None:
        if cluster.http_port == 0:
            raise ConfigurationError(
                "the gateway cannot know which port Serve took: set LITERESEARCHER_CLUSTER__HTTP_PORT, or "
                "LITERESEARCHER_ENGINE__BASE_URL"
            )
        host = ANY_HOST.get(cluster.http_host, cluster.http_host)
        base, key = address(host, cluster.http_port) + ROUTE, cluster.token
    there = EngineSection(
        kind="openai",
        base_url=base,
        api_key=key,
        request_timeout_seconds=section.request_timeout_seconds,
        tries=section.tries,
    )
    return settings.model_copy(update={"engine": there})
