"""The built-in corpus as a stream of pages: pure-Python modules by `ast`, the others from the isolated child.

Owns: the order, the child process, and the version by which a built corpus is known to be of this Python and builder.
Refuses to know: the index, tenants. Above: `corpus.library`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from literesearcher.corpus.pydoc import pages, source
from literesearcher.corpus.pydoc.entries import Entry, Module
from literesearcher.corpus.pydoc.modules import INSPECTED
from literesearcher.corpus.records import Record
from literesearcher.errors import BoundaryError

BUILDER = 10
"""Rises when pages come out differently."""
_CHILD_SECONDS = 60.0


def version() -> str:
    """What a corpus built now is built from."""
    return f"builder {BUILDER}, {sys.implementation.name} {sys.version.split()[0]}, {sys.platform}"


def records() -> Iterator[tuple[Record, int, int]]:
    """(page, steps done, steps in all) of every page, each URL once. `BoundaryError` where the child fails."""
    child = _start()
    try:
        found = source.files(source.folder())
        modules: dict[str, Module] = {}
        for name, path in found:
            module = source.read(name, path)
            if module is not None and name in modules:
                modules[name].entries |= {
                    key: entry for key, entry in module.entries.items() if key not in modules[name].entries
                }
            elif module is not None:
                modules[name] = module
        source.publish(modules)
        modules = {name: module for name, module in modules.items() if not source.is_private(name)}
        for module in _inspected(child):
            _merge(modules, module)
    finally:
        if child.poll() is None:
            child.kill()
        child.communicate()
    total = len(modules)
    for done, name in enumerate(sorted(modules), start=1):
        for record in pages.records(modules[name]):
            yield record, done, total


def _start() -> subprocess.Popen[bytes]:
    program = str(Path(__file__).with_name("child.py"))
    try:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", "-W", "ignore", program, *INSPECTED],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=source.folder(),
        )
    except OSError as error:
        raise BoundaryError(f"cannot start {sys.executable}: {error}", code="corpus_build_failed") from error


def _inspected(child: subprocess.Popen[bytes]) -> Iterator[Module]:
    try:
        out, errors = child.communicate(timeout=_CHILD_SECONDS)
    except subprocess.TimeoutExpired:
        raise BoundaryError("reading Python's built-in modules took too long", code="corpus_build_failed") from None
    if child.returncode != 0:
        told = errors.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise BoundaryError(f"Python's built-in modules cannot be read: {told}", code="corpus_build_failed")
    for line in out.splitlines():
        value = json.loads(line)
        module = Module(name=value["module"], doc=value["doc"])
        for each in value["entries"]:
            module.entries[each["name"]] = _entry(each)
        module.constants = [(name, written) for name, written in value["constants"]]
        yield module


def _entry(value: dict[str, Any]) -> Entry:
    return Entry(
        kind=value["kind"],
        name=value["name"],
        signature=value["signature"],
        doc=value["doc"],
        bases=value.get("bases", []),
        members=[_entry(member) for member in value.get("members", [])],
    )


def _merge(modules: dict[str, Module], found: Module) -> None:
    """Put what the child saw beside what the source says; of two with a docstring the source's stays."""
    known = modules.get(found.name)
    if known is None:
        modules[found.name] = found
        return
    known.doc = known.doc or found.doc
    for name, entry in found.entries.items():
        old = known.entries.get(name)
        if old is None or (not old.doc and entry.doc):
            known.entries[name] = entry
    names = {name for name, _ in known.constants}
    known.constants.extend(constant for constant in found.constants if constant[0] not in names)
