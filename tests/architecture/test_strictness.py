"""The rule against unexpected skips must itself be able to fail a run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = """
import pytest

@pytest.mark.skip(reason="{reason}")
def test_skipped():
    pass

def test_runs():
    pass
"""


def run(folder: Path, root: Path, reason: str, *, strict: bool) -> tuple[int, str]:
    (folder / "test_it.py").write_text(TESTS.format(reason=reason))
    environ = os.environ | {"LITERESEARCHER_TEST_STRICT": "1" if strict else "", "PYTHONPATH": str(root / "tests")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "strictness", "--rootdir", str(folder), "-c", os.devnull, str(folder)],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout


def test_a_skip_that_nobody_listed_fails_a_strict_run_and_only_that(tmp_path: Path, root: Path):
    code, told = run(tmp_path, root, "no server", strict=True)
    assert code == 1
    assert "test_skipped: Skipped: no server" in told
    assert "1 passed, 1 skipped" in told.splitlines()[-1]
    assert run(tmp_path, root, "no server", strict=False)[0] == 0
    assert run(tmp_path, root, "LITERESEARCHER_TEST_DATA is not set", strict=True)[0] == 0
