"""What a program does before it serves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from literesearcher.cli import services
from literesearcher.errors import ConfigurationError
from literesearcher.settings.model import Settings


class Loading:
    """An engine that has to be started."""

    def __init__(self, done: list[str], wrong: str | None = None) -> None:
        self._done = done
        self._wrong = wrong

    async def start(self) -> None:
        if self._wrong is not None:
            raise ConfigurationError(self._wrong)
        self._done.append("loaded")


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, list[str]], None]:
    """Sets what `serve` finds, and notes that it serves."""

    def given(engine: Any, done: list[str]) -> None:
        @asynccontextmanager
        async def platform(settings: Settings) -> AsyncIterator[Any]:
            yield SimpleNamespace(engine=engine, orchestrator=lambda: SimpleNamespace(run=None))

        async def serving(*parts: Any, **how: Any) -> int:
            done.append("serving")
            return 0

        monkeypatch.setattr(services, "_counted_platform", platform)
        monkeypatch.setattr(services, "_serve_api", serving)
        monkeypatch.setattr(services, "serve_until_stopped", serving)

    return given


@pytest.mark.parametrize("command", [services.serve_everything, services.run_orchestrator])
async def test_a_model_of_this_process_is_loaded_before_anything_is_taken(
    command: Callable[[Settings], Any], program: Callable[[Any, list[str]], None], capsys: pytest.CaptureFixture[str]
):
    done: list[str] = []
    program(Loading(done), done)
    assert await command(Settings()) == 0
    assert done == ["loaded", "serving"]
    assert "loading the model" in capsys.readouterr().err
    program(object(), done)
    await command(Settings())
    assert done == ["loaded", "serving", "serving"]


@pytest.mark.parametrize("command", [services.serve_everything, services.run_orchestrator])
async def test_a_model_that_cannot_be_loaded_ends_the_program_before_it_serves(
    command: Callable[[Settings], Any], program: Callable[[Any, list[str]], None]
):
    done: list[str] = []
    program(Loading(done, "its shards are missing"), done)
    with pytest.raises(ConfigurationError, match="its shards are missing"):
        await command(Settings())
    assert done == []
