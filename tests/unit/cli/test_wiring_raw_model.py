"""Which raw model a process has, and where a gateway without a runtime finds one."""

from __future__ import annotations

from typing import Any

import pytest

from literesearcher.cli.wiring_engine import compressing_engine
from literesearcher.cli.wiring_raw_model import of_a_gateway_alone, raw_model
from literesearcher.engine.openai import OpenAIEngine
from literesearcher.errors import BoundaryError, ConfigurationError
from literesearcher.gateway.raw_model.engine_model import EngineModel
from literesearcher.gateway.upstream import Upstream
from literesearcher.settings.cluster_sections import ClusterSection
from literesearcher.settings.model import Settings
from literesearcher.settings.sections import EngineSection
from literesearcher.testing.timed_engine import TimedEngine
from literesearcher.timing.clock import SystemClock


@pytest.mark.parametrize("kind", ["sglang", "transformers"])
@pytest.mark.parametrize(
    ("cluster", "url"),
    [
        ({}, "http://127.0.0.1:8100/engine/v1"),
        ({"http_host": "0.0.0.0", "http_port": 9}, "http://127.0.0.1:9/engine/v1"),
        ({"http_host": "::"}, "http://[::1]:8100/engine/v1"),
        ({"http_host": "10.1.2.3"}, "http://10.1.2.3:8100/engine/v1"),
    ],
)
def test_a_gateway_alone_finds_the_engine_application(kind: Any, cluster: dict[str, Any], url: str) -> None:
    section = EngineSection(kind=kind, request_timeout_seconds=7)
    there = of_a_gateway_alone(Settings(engine=section, cluster=ClusterSection(token="between-us", **cluster))).engine
    assert (there.kind, there.base_url, there.request_timeout_seconds) == ("openai", url, 7)
    assert there.api_key is not None
    assert there.api_key.get_secret_value() == "between-us"


def test_a_named_place_stands_before_it_and_other_engines_stay_what_they_are() -> None:
    named = EngineSection(kind="sglang", base_url="http://node:1/engine/v1", api_key="k")
    there = of_a_gateway_alone(Settings(engine=named, cluster=ClusterSection(token="t"))).engine
    assert there.api_key is not None
    assert (there.kind, there.base_url, there.api_key.get_secret_value()) == ("openai", "http://node:1/engine/v1", "k")
    for section in (EngineSection(), EngineSection(base_url="http://other:1/v1")):
        settings = Settings(engine=section)
        assert of_a_gateway_alone(settings) is settings
    with pytest.raises(ConfigurationError, match="CLUSTER__HTTP_PORT"):
        of_a_gateway_alone(Settings(engine=EngineSection(kind="sglang"), cluster=ClusterSection(http_port=0)))


def test_a_runtime_of_the_process_answers_itself_and_another_engine_is_asked_over_http() -> None:
    def made(section: EngineSection) -> Any:
        return raw_model(Settings(engine=section), TimedEngine(), SystemClock())

    assert isinstance(made(EngineSection(kind="sglang", base_url="http://other:1/v1")), EngineModel)
    assert isinstance(made(EngineSection(kind="transformers", model="x")), EngineModel)
    server = made(EngineSection(base_url="http://other:1/v1"))
    assert isinstance(server, Upstream)
    server.check()
    with pytest.raises(BoundaryError) as raised:
        made(EngineSection()).check()
    assert raised.value.code == "no_language_model"


async def test_another_model_compresses_where_one_is_named() -> None:
    assert compressing_engine(Settings(engine=EngineSection(base_url="http://a:1/v1")), SystemClock()) is None
    other = compressing_engine(Settings(compressor=EngineSection(base_url="http://b:1/v1")), SystemClock())
    assert isinstance(other, OpenAIEngine)
    await other.aclose()
