"""`rollouts`: each set of recordings, for the tests that ask for it."""

from __future__ import annotations

import pytest

from replay import recordings


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Once a set."""
    recordings.parametrize(metafunc)
