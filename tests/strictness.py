"""A pytest plugin: with LITERESEARCHER_TEST_STRICT=1 a skip that is not listed here fails the run.

Loaded by `-p strictness` (see pyproject.toml). A machine that has the system parts must run everything; a skip that
slips in there would hide a test that has stopped testing. Every run says what it could not run.
"""

from __future__ import annotations

import os

import pytest

EXPECTED_REASONS = (
    # The recordings are data beside the checkout, not part of it.
    "LITERESEARCHER_TEST_DATA",
    # Beside each such test is one that needs no root.
    "only root",
    # In no wheel; `.ci/run` fetches it where there is a package index of the system's.
    "no promtool",
    # 2 GB of torch: run where it is installed.
    "literesearcher[transformers]",
    # Compared against where it is installed; not a dependency of the project.
    "langgraph",
    # SGLang lives in an environment of its own.
    "make sglang",
)
"""A skip whose reason holds one of these words is expected anywhere."""

_unexpected = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Start with no unexpected skips."""
    config.stash[_unexpected] = []


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    where = report.longrepr
    return str(where[2]) if isinstance(where, tuple) else str(where)


class _Watcher:
    """Collects the skips of one run."""

    def __init__(self, config: pytest.Config) -> None:
        self._skips = config.stash[_unexpected]

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if not report.skipped or hasattr(report, "wasxfail"):
            return
        reason = _reason(report)
        if not any(word in reason for word in EXPECTED_REASONS):
            self._skips.append(f"{report.nodeid}: {reason}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test's phase ended."""
        self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A module was collected, or skipped whole."""
        self._note(report)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Watch only where strictness is asked for."""
    if os.environ.get("LITERESEARCHER_TEST_STRICT") == "1":
        session.config.pluginmanager.register(_Watcher(session.config))


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """An unexpected skip turns a green run red."""
    if session.config.stash[_unexpected] and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name them, above pytest's closing line."""
    skips = terminalreporter.config.stash[_unexpected]
    if skips:
        terminalreporter.section("skips that fail this run (LITERESEARCHER_TEST_STRICT=1)", red=True)
        for line in skips:
            terminalreporter.write_line(line)
