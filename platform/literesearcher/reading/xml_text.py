"""XML to a small tree and to an outline that reads well. Entities are never declared, expanded or fetched.

Owns: the one XML parser of pages. A document that declares an entity of its own (where expansion attacks begin) is not
read at all, nor one that is broken, too deep or too large; an external DTD that is only named is let be. Refuses to
know: feeds (`feed_text`), charsets.
"""

from __future__ import annotations

import html.entities
import re
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

MAX_DEPTH = 200
MAX_NODES = 400_000
_NAMED = re.compile(r"&([A-Za-z][A-Za-z0-9]{1,31});")
_XML_NAMES = frozenset(("amp", "lt", "gt", "quot", "apos"))


@dataclass(slots=True)
class Node:
    """An element: its name without the prefix, and what is in it in order."""

    name: str
    attributes: dict[str, str]
    parts: list[Node | str] = field(default_factory=list)

    def children(self, *names: str) -> list[Node]:
        """Elements directly in it that have one of the names."""
        return [part for part in self.parts if isinstance(part, Node) and part.name in names]

    def text(self) -> str:
        """All text in it, blanks collapsed."""
        return " ".join("".join(self.strings()).split())

    def strings(self) -> list[str]:
        """All text in it, piece by piece."""
        found: list[str] = []
        waiting: list[Node | str] = [self]
        while waiting:
            part = waiting.pop()
            if isinstance(part, str):
                found.append(part)
            else:
                waiting.extend(reversed(part.parts))
        return found


class _Unread(Exception):
    """The document is not one that is read."""


def tree(text: str) -> Node | None:
    """The root element; None for what is not read (see the module)."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    open_nodes: list[Node] = []
    roots: list[Node] = []
    count = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if count > MAX_NODES or len(open_nodes) >= MAX_DEPTH:
            raise _Unread
        node = Node(_local(name), {_local(key): value for key, value in attributes.items()})
        (open_nodes[-1].parts if open_nodes else roots).append(node)
        open_nodes.append(node)

    def end(_name: str) -> None:
        open_nodes.pop()

    def characters(data: str) -> None:
        if open_nodes:
            open_nodes[-1].parts.append(data)

    def refuse(*_declared: Any) -> Any:
        raise _Unread

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = characters
    parser.EntityDeclHandler = refuse
    parser.UnparsedEntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = refuse
    try:
        # A name of HTML's that XML does not have would break a feed that is otherwise sound.
        parser.Parse(_NAMED.sub(_character, text.lstrip()), True)
    except (expat.ExpatError, _Unread, ValueError):
        return None
    return roots[0] if roots and isinstance(roots[0], Node) else None


def outline(root: Node) -> str:
    """The tree as indented lines `name: text`; an element that mixes text with others is one line of its text."""
    lines: list[str] = []
    waiting: list[tuple[Node, int]] = [(root, 0)]
    while waiting:
        node, depth = waiting.pop()
        inner = [part for part in node.parts if isinstance(part, Node)]
        mixed = any(isinstance(part, str) and part.strip() for part in node.parts)
        facts = ", ".join(f"{key}={value}" for key, value in node.attributes.items() if not _is_plumbing(key))
        said = node.text() if mixed else ""
        head = f"{'  ' * min(depth, 20)}{node.name}{f' ({facts})' if facts else ''}"
        if mixed or inner or facts:
            lines.append(f"{head}: {said}" if said else head)
        if not mixed:
            waiting.extend((part, depth + 1) for part in reversed(inner))
    return "\n".join(lines)


def _is_plumbing(attribute: str) -> bool:
    return attribute in ("xmlns", "schemaLocation") or attribute.startswith("xmlns")


def _local(name: str) -> str:
    return name if name.startswith("xmlns") else name.rpartition(":")[2]


def _character(found: re.Match[str]) -> str:
    name = found[1]
    if name in _XML_NAMES:
        return found[0]
    return html.entities.html5.get(f"{name};", found[0])
