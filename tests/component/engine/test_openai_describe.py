"""What the OpenAI client finds out about a server before the first turn."""

from __future__ import annotations

import asyncio

import pytest

from literesearcher.engine.openai import OpenAIEngine
from literesearcher.errors import BoundaryError, ConfigurationError
from literesearcher.settings.sections import EngineSection
from literesearcher.testing.model_server import Raw
from literesearcher.timing.clock import SystemClock

ONE = [{"id": "only-model"}]


@pytest.mark.parametrize(
    ("models", "pages", "section", "expected"),
    [
        ([{"id": "a", "max_model_len": 32768}], {}, {}, ("a", 32768)),
        (ONE, {"/get_model_info": {"model_path": "x"}, "/get_server_info": {"context_length": 65536}}, {}, None),
        (ONE, {"/get_model_info": {"max_context_length": 90000}}, {}, ("only-model", 90000)),
        (ONE, {"/get_server_info": {"context_length": None, "max_total_tokens": 5000}}, {}, ("only-model", 131_072)),
        (ONE, {}, {}, ("only-model", 131_072)),
        ([{"id": "a", "max_model_len": 32768}], {}, {"context_length": 16384}, ("a", 16384)),
        ([{"id": "a", "max_model_len": 1000}, {"id": "b", "max_model_len": 5000}], {}, {"model": "b"}, ("b", 5000)),
        ([{"id": "a", "max_model_len": 4096}], {}, {"model": "alias"}, ("alias", 4096)),
        (Raw(b"not found", 404), {}, {"model": "named"}, ("named", 131_072)),
    ],
)
async def test_model_and_context_length(bench, models, pages, section, expected) -> None:
    server = await bench.server(models=models, pages=pages)
    info = await bench.engine(server, **section).describe()
    assert (info.model, info.context_length) == (expected or ("only-model", 65536))
    assert info.kind == "openai"
    assert info.language_model


@pytest.mark.parametrize(
    ("models", "words"),
    [
        ([{"id": "first"}, {"id": "second"}], r"first, second.*ENGINE__MODEL"),
        ([], r"no model.*ENGINE__MODEL"),
        (Raw(b"not found", 404), r"404.*/v1"),
    ],
)
async def test_a_server_that_leaves_the_model_open_names_the_way_out(bench, models, words) -> None:
    server = await bench.server(models=models)
    with pytest.raises(ConfigurationError, match=words):
        await bench.engine(server).describe()


@pytest.mark.parametrize(
    ("models", "code"),
    [
        (Raw(b'{"error":"key"}', 401), "engine_unauthorized"),
        (Raw(b"", 503), "engine_busy"),
        (Raw(b"oops", 500), "engine_error"),
        (Raw(b"<html>", 200, "text/html"), "engine_garbage"),
    ],
)
async def test_a_server_that_fails_says_how_and_is_asked_again(bench, models, code) -> None:
    server = await bench.server(models=models)
    engine = bench.engine(server)
    with pytest.raises(BoundaryError) as caught:
        await engine.describe()
    assert caught.value.code == code
    server.models = ONE
    assert (await engine.describe()).model == "only-model"


async def test_asked_once_by_many(bench) -> None:
    server = await bench.server(models=ONE)
    engine = bench.engine(server)
    await asyncio.gather(*(engine.describe() for _ in range(20)))
    assert server.paths.count("/v1/models") == 1


def test_no_base_url_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="BASE_URL"):
        OpenAIEngine(EngineSection(), clock=SystemClock())
