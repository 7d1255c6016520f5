"""Rollouts to replay: the self-made ones that ship, and the published ones where the test data is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SELF_MADE = Path(__file__).parent.parent / "data" / "rollouts"


def published() -> Path | None:
    """The folder of the published ones, where LITERESEARCHER_TEST_DATA names one."""
    root = os.environ.get("LITERESEARCHER_TEST_DATA")
    folder = Path(root) / "trajectories" if root else None
    return folder if folder is not None and folder.is_dir() else None


def parametrize(metafunc: pytest.Metafunc) -> None:
    """`rollouts`: a folder, once a set."""
    if "rollouts" not in metafunc.fixturenames:
        return
    folder = published()
    mark = pytest.mark.skipif(folder is None, reason="LITERESEARCHER_TEST_DATA names no folder with trajectories/")
    metafunc.parametrize(
        "rollouts",
        [pytest.param(SELF_MADE, id="self-made"), pytest.param(folder, id="published", marks=mark)],
    )
