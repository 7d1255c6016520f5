"""Rollouts to replay: the self-made ones that ship, and the published ones where the test data is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SELF_MADE = Path(__file__).parent.parent / "data" / "rollouts"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`rollouts`: a folder, once a set."""
    if "rollouts" not in metafunc.fixturenames:
        return
    root = os.environ.get("LITERESEARCHER_TEST_DATA")
    published = Path(root) / "trajectories" if root else None
    missing = published is None or not published.is_dir()
    mark = pytest.mark.skipif(missing, reason="LITERESEARCHER_TEST_DATA names no folder with trajectories/")
    metafunc.parametrize(
        "rollouts",
        [pytest.param(SELF_MADE, id="self-made"), pytest.param(published, id="published", marks=mark)],
    )
