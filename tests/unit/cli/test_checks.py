"""The doctor's advice: nothing that would cost somebody their documents."""

from __future__ import annotations

from pathlib import Path

import pytest

from literesearcher.cli import checks
from literesearcher.errors import BoundaryError
from literesearcher.settings.model import Settings


async def test_a_full_disk_is_no_reason_to_remove_a_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(settings: Settings) -> None:
        raise BoundaryError("the disk is full, nothing was changed: make room", code="corpus_full")

    monkeypatch.setattr(checks, "prepare_corpus", full)
    found = {finding.subject: finding async for finding in checks.checks(Settings(data_dir=tmp_path))}
    corpus = found["corpus"]
    assert "make room" in corpus.told
    assert "remove" not in f"{corpus.told} {corpus.way_out}"
