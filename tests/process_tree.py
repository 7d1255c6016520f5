"""Which processes descend from one, as the kernel tells. Linux only."""

from __future__ import annotations

from pathlib import Path


def children(parent: int) -> list[int]:
    """Process ids of those it has started and that have not ended."""
    return [pid for pid, its in _parents().items() if its == parent]


def descendants(parent: int) -> list[int]:
    """Its children, theirs, and so on; each level by number."""
    parents = _parents()
    found: list[int] = []
    level = {parent}
    while level:
        level = {pid for pid, its in parents.items() if its in level}
        found += sorted(level)
    return found


def _parents() -> dict[int, int]:
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
    return parents
