"""Which engine a section of the settings means, and what is wrong with the section."""

from __future__ import annotations

from pathlib import Path

import pytest

from literesearcher.cli.wiring_engine import make_engine
from literesearcher.errors import ConfigurationError
from literesearcher.settings.sections import EngineSection
from literesearcher.timing.clock import SystemClock


@pytest.mark.parametrize("base_url", [None, "http://127.0.0.1:9/v1"])
@pytest.mark.parametrize("content", [None, "{}", "no json"])
def test_a_tokenizer_file_that_cannot_be_read_is_an_error_for_every_kind_of_engine(
    tmp_path: Path, base_url: str | None, content: str | None
):
    file = tmp_path / "tokenizer.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigurationError, match=r"tokenizer\.json"):
        make_engine(EngineSection(base_url=base_url, tokenizer_file=file), SystemClock())


def test_an_engine_whose_libraries_are_missing_says_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"pip install 'literesearcher\[transformers\]'"):
        make_engine(EngineSection(kind="transformers", model=str(tmp_path)), SystemClock())
