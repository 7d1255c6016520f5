"""A Ctrl-C while the program is still being imported."""

from __future__ import annotations

import importlib.abc
import sys

import pytest

from literesearcher.cli import entry


def test_an_interrupt_during_the_imports_is_an_exit_code_and_no_traceback(monkeypatch: pytest.MonkeyPatch):
    class Interrupted(importlib.abc.MetaPathFinder):
        def find_spec(self, fullname, path, target=None):
            if fullname == "literesearcher.cli.main":
                raise KeyboardInterrupt
            return

    monkeypatch.delitem(sys.modules, "literesearcher.cli.main", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupted(), *sys.meta_path])
    with pytest.raises(SystemExit) as caught:
        entry.main()
    assert caught.value.code == 130
    assert caught.value.__suppress_context__
