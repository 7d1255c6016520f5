"""The doctor's advice: nothing that would cost somebody their documents."""

from __future__ import annotations

from pathlib import Path

import pytest

from literesearcher.cli import checks
from literesearcher.errors import BoundaryError
from literesearcher.settings.load import load_settings
from literesearcher.settings.model import Settings


async def test_a_full_disk_is_no_reason_to_remove_a_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(settings: Settings) -> None:
        raise BoundaryError("the disk is full, nothing was changed: make room", code="corpus_full")

    monkeypatch.setattr(checks, "prepare_corpus", full)
    found = {finding.subject: finding async for finding in checks.checks(Settings(data_dir=tmp_path))}
    corpus = found["corpus"]
    assert "make room" in corpus.told
    assert "remove" not in f"{corpus.told} {corpus.way_out}"


@pytest.mark.parametrize("kind", ["sglang", "transformers"])
async def test_where_the_model_is_in_the_process_nobody_is_told_to_start_a_server(kind: str, tmp_path: Path):
    given = {
        "LITERESEARCHER_DATA_DIR": str(tmp_path),
        "LITERESEARCHER_ENGINE__KIND": kind,
        "LITERESEARCHER_SGLANG__MODEL_PATH": str(tmp_path / "none"),
        "LITERESEARCHER_ENGINE__MODEL": str(tmp_path / "none"),
    }
    if kind == "sglang":
        del given["LITERESEARCHER_ENGINE__MODEL"]
    async for finding in checks.checks(load_settings(given, dotenv=None)):
        if finding.subject == "engine":
            break
    assert finding.state == "broken"
    assert finding.way_out is not None
    assert "docs/how-to/" in finding.way_out
    assert "server" not in finding.way_out
