"""What is known of one documented name, whichever way it was read.

Refuses to know: reading, rendering. Neighbours: `source` and `child` make entries, `pages` renders them.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Entry:
    """A function, class, exception, method or property. `name` is dotted within its module."""

    kind: str
    name: str
    signature: str | None = None
    doc: str = ""
    bases: list[str] = field(default_factory=list)
    members: list[Entry] = field(default_factory=list)


@dataclass(slots=True)
class Module:
    """A module: `constants` are (name, value as written)."""

    name: str
    doc: str = ""
    entries: dict[str, Entry] = field(default_factory=dict)
    constants: list[tuple[str, str]] = field(default_factory=list)
    exported: list[str] | None = None
    """Its `__all__` where that is a plain list."""
    imports: list[tuple[str, list[str]]] = field(default_factory=list)
    """(module, names) of its `from … import …`; `*` among the names for all of it."""
