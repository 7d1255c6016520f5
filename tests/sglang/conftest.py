"""Real SGLang on a CPU: models made by the kit, and one runtime at a time, shared by the tests of one configuration.

Skipped with the command to type where SGLang is not installed. Models need the real Qwen3 tokenizer, which is test
data beside the checkout. LITERESEARCHER_TEST_TAUGHT_MODEL names a taught model to use instead of teaching one.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cpu_kit import environment
from cpu_kit.scripted import FLAG, ScriptedSglang
from cpu_kit.served import Served, environment_of_replicas, own_ray, served_on
from literesearcher.settings.cluster_sections import SglangSection

HERE = Path(__file__).parent
TOKENIZER = Path(os.environ.get("LITERESEARCHER_TEST_DATA", "")) / "qwen3_tokenizer"
SHARED: dict[str, Any] = {"context_length": 16_384, "kv_tokens": 32_768, "max_running": 8}
"""The configuration of most tests."""

Starter = Callable[..., Awaitable[ScriptedSglang]]


def _installed() -> bool:
    try:
        return importlib.metadata.version("sglang") == environment.SGLANG
    except importlib.metadata.PackageNotFoundError:
        return False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one configuration run together, whatever file they stand in; starts take half a minute. Those on Ray
    come last: their replicas stay up."""
    items.sort(key=lambda item: item.path.name.startswith("test_ray_"))
    for item in items:
        if HERE not in item.path.parents:
            continue
        item.add_marker(pytest.mark.timeout(900))
        if not _installed():
            item.add_marker(pytest.mark.skip(reason=f"no SGLang in this environment: {environment.COMMAND}"))
        elif not TOKENIZER.is_dir():
            item.add_marker(pytest.mark.skip(reason="LITERESEARCHER_TEST_DATA names no folder with qwen3_tokenizer/"))


@pytest.fixture(scope="session")
def tokenizer_folder() -> Path:
    """The real Qwen3 tokenizer."""
    return TOKENIZER


@pytest.fixture(scope="session")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that says anything."""
    from cpu_kit.tiny_model import write_random

    folder = tmp_path_factory.mktemp("models") / "random"
    write_random(TOKENIZER, folder)
    return folder


@pytest.fixture(scope="session")
def taught_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that carries out the job of `cpu_kit.lesson`."""
    named = os.environ.get("LITERESEARCHER_TEST_TAUGHT_MODEL")
    if named:
        return Path(named)
    folder = tmp_path_factory.mktemp("models") / "taught"
    # In a process of its own: what PyTorch sets up for teaching is not to be in the way of SGLang.
    command = [sys.executable, "-m", "cpu_kit.teacher", str(TOKENIZER), str(folder)]
    # The environment was perhaps made for another checkout: its package is the one that these tests are given.
    path = os.pathsep.join([str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": path})
    return folder


@pytest.fixture(scope="session")
def one_runtime() -> Iterator[dict[str, ScriptedSglang]]:
    """The runtime that is up, by its configuration."""
    up: dict[str, ScriptedSglang] = {}
    yield up
    for engine in up.values():
        asyncio.run(engine.aclose())


@pytest.fixture
def start(one_runtime: dict[str, ScriptedSglang]) -> Starter:
    """`await start(model, **fields)`: the runtime of that configuration, the one that is up where it is the same."""

    async def started(model: Path, *extra: str, **fields: Any) -> ScriptedSglang:
        given = {"device": "cpu", "weights": "fp32", "model_path": str(model), **fields}
        name = repr((sorted(given.items()), extra))
        if name not in one_runtime:
            for other in list(one_runtime):
                await one_runtime.pop(other).aclose()
            one_runtime[name] = ScriptedSglang(SglangSection(**given), extra=[FLAG, *extra])
        engine = one_runtime[name]
        engine.script = lambda request: None
        await engine.start()
        return engine

    return started


@pytest.fixture(scope="session")
def served(
    taught_model: Path, one_runtime: dict[str, ScriptedSglang], redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """The platform on a Ray of its own: two engine replicas of the taught model. No other runtime is up beside it."""
    for name in list(one_runtime):
        asyncio.run(one_runtime.pop(name).aclose())
    folder = tmp_path_factory.mktemp("served")
    with own_ray(folder, environment_of_replicas(redis_url)) as operator:
        with served_on(operator, folder, taught_model, redis_url) as platform:
            yield platform


@pytest.fixture
async def taught(start: Starter, taught_model: Path) -> ScriptedSglang:
    """The taught model in the shared configuration."""
    return await start(taught_model, **SHARED)
