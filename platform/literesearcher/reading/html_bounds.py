"""What the marks of an HTML page cost its converter, and the page without those that cost too much.

Owns: the shapes that the converter multiplies, and their price in characters. A line gets a mark for every quotation it
stands in, and every quotation, `em` and `i` copies all that is in it; a line in lists is indented by each; a table pads
each row to its widest. A page within its budget stays as it is, to the byte; of another the marks go (emphasis, then
tables, then what is nested deepest), never a word. A plain count of tags clears most pages; others are scanned, with an
eye on comments, scripts, quoted attributes and table borders, as browsers read them. Refuses to know: the converter's
interface, memory and time (`conversion_worker` bounds those, whatever gets past the scan). Above: `html_text`.
"""

from __future__ import annotations

import heapq
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

_FREE, _TIMES = 4_000_000, 32
"""Budget: a row of cells without a word is within it, even padded to the widest column."""
_CELL, _RULE = 200, 3
"""The converter pads no column wider, and puts so much between two."""
_MAX_SPAN = 1_000
_INDENT, _LONG_INDENT = 5, 25
"""Of a list, at most; where `start` is any number."""
_QUOTING = ("blockquote", "em", "i")
_NESTING = frozenset((*_QUOTING, "ul", "ol"))
_SUSPECTS = re.compile(r"<(blockquote|em|i|ul|ol|td|th)[ \t\n\r\f/>]")
_TOKEN = re.compile(
    r"<!--(?:-?>|.*?(?:--!?>|\Z))"
    r"|<(?:[!?]|/(?![a-zA-Z]))[^>]*(?:>|\Z)"
    r"|<(/?)([a-zA-Z][^ \t\n\r\f/>]*)"
    r"((?:[^>=]+|=\s*(?:\"[^\"]*(?:\"|\Z)|'[^']*(?:'|\Z)|[^\s>\"'][^\s>]*)?)*+)(?:>|\Z)",
    re.DOTALL,
)
_RAW = {
    name: re.compile(f"</{name}(?=[ \t\n\r\f/>])", re.IGNORECASE)
    for name in ("script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes")
}
"""What is in these is no markup."""
_BORDERS = frozenset(("table", "caption", "button", "object", "marquee", "applet", "template"))
"""No closing tag inside one of these closes what stands around it."""
_ROWS = frozenset(("tr", "thead", "tbody", "tfoot"))
_TABLES = _ROWS | {"table", "caption", "colgroup", "col", "td", "th"}
_SPANS = re.compile(r"\b(col|row)span\s*=\s*[\"']?\s*(\d{1,9})", re.IGNORECASE)
_START = re.compile(r"\bstart\s*=\s*[\"']?\s*-?\d{5}", re.IGNORECASE)


def bounded_html(source: str) -> str:
    """The page, without the marks that are beyond its budget."""
    if "\0" in source:  # which the converter reads over, also within a name
        plain = source.replace("\0", "")
        kept = bounded_html(plain)
        return source if kept is plain else kept
    budget = _TIMES * len(source) + _FREE
    if _is_cleared(source, budget):
        return source
    page = _Page()
    for _ in page.tokens(source):
        pass
    if page.price() <= budget:
        return source
    with_tables = page.price(emphasis=False) <= budget or page.tables_price() <= budget // 2
    cap = max((max(quotes, lists) for quotes, _, lists in page.lines), default=1)
    while cap > 1 and page.price(cap, emphasis=False, tables=with_tables) > budget:
        cap = cap * 3 // 4
    return "".join(_kept(source, cap, with_tables))


def bounded_base(source: str, base_url: str | None) -> str | None:
    """The base of the page's links; None where they would repeat so long a one too often."""
    if base_url is None or len(base_url) * source.lower().count("href") <= 10 * len(source) + 1_000_000:
        return base_url
    return None


def _is_cleared(source: str, budget: int) -> bool:
    """Is the page within its budget even if every tag stands in all those before it?"""
    tags = Counter(_SUSPECTS.findall(source.lower()))
    cells = tags["td"] + tags["th"]
    if cells and "span" in source.lower():
        return False
    quoting, lists = sum(tags[name] for name in _QUOTING), tags["ul"] + tags["ol"]
    lines = source.count("\n") + source.count("<") + source.count("&")
    table = cells * cells * (_CELL + _RULE)  # at most so many rows and columns
    return lines * _line(quoting, lists, _LONG_INDENT) + table * (quoting + 1) <= budget


def _line(quoting: int, lists: int, indent: int) -> int:
    """Characters that are written for the marks before one line: each level that copies it writes them all again."""
    return (quoting + 1) * (2 * quoting + indent * lists)


@dataclass(slots=True)
class _Table:
    """A table that is open: how wide its columns are so far."""

    rows: int = 0
    columns: int = 0
    widths: dict[int, int] = field(default_factory=dict)
    in_row: bool = False
    next_column: int = 0
    spanning: list[int] = field(default_factory=list)
    """A heap: for each cell that reaches into later rows, the last of these."""
    cell: tuple[int, int, int] | None = None
    """The open cell's column, place in the page, and number of its tag."""

    def open_cell(self, attributes: str, at: int, number: int) -> None:
        if not self.in_row:
            self.in_row = True
            self.rows += 1
            while self.spanning and self.spanning[0] < self.rows:
                heapq.heappop(self.spanning)
            self.next_column = len(self.spanning)
        spans = {name.lower(): int(size) for name, size in _SPANS.findall(attributes)} if "=" in attributes else {}
        if (rows := spans.get("row", 1)) != 1:
            heapq.heappush(self.spanning, self.rows + (rows or 65_534) - 1)
        self.cell = (self.next_column, at, number)
        self.next_column += max(1, min(_MAX_SPAN, spans.get("col", 1)))
        self.columns = max(self.columns, self.next_column)

    def close_cell(self, at: int, number: int) -> None:
        if self.cell is None:
            return
        column, began, first = self.cell
        # Markup may become longer than it was, by a link's base.
        width = min(_CELL, at - began) if number == first + 1 else _CELL
        self.widths[column] = max(width, self.widths.get(column, 0))
        self.cell = None

    def size(self) -> int:
        return (self.rows + 1) * (sum(self.widths.values()) + _RULE * self.columns)


@dataclass(slots=True)
class _Page:
    """What a scan finds: how deep its lines stand, how large its tables are."""

    depths: dict[str, int] = field(default_factory=lambda: dict.fromkeys(sorted(_NESTING), 0))
    lines: Counter[tuple[int, int, int]] = field(default_factory=Counter)
    """How many stand in so many quotations, emphases and lists."""
    tables: Counter[tuple[int, int]] = field(default_factory=Counter)
    """How many characters are theirs in so many quotations and emphases."""
    indent: int = _INDENT
    borders: list[tuple[str, dict[str, int], _Table]] = field(default_factory=list)

    def price(self, cap: int | None = None, *, emphasis: bool = True, tables: bool = True) -> int:
        total = self.tables_price(cap, emphasis=emphasis) if tables else 0
        for (quotes, around, lists), count in self.lines.items():
            quotes, lists = (quotes, lists) if cap is None else (min(quotes, cap), min(lists, 2 * cap))
            total += count * _line(quotes + (around if emphasis else 0), lists, self.indent)
        return total

    def tables_price(self, cap: int | None = None, *, emphasis: bool = True) -> int:
        return sum(
            size * ((quotes if cap is None else min(quotes, cap)) + (around if emphasis else 0) + 1)
            for (quotes, around), size in self.tables.items()
        )

    def tokens(self, source: str) -> Iterator[tuple[int, int, bool, str]]:
        """Tags that matter, before they count: start, end, whether it closes, name in lower case."""
        at = since = number = counted = 0
        while found := _TOKEN.search(source, at):
            number += 1
            start, at = found.span()
            name = (found[2] or "").lower()
            closing = bool(found[1])
            if name in _NESTING or name in _BORDERS or name in _TABLES:
                yield start, at, closing, name
                if name in _NESTING or name in _BORDERS:
                    self._count(source, since, start, number - counted)
                    since, counted = start, number
                if name in _NESTING:
                    self._nest(name, closing, found[3])
                if name in _TABLES and self.borders:
                    self._tabulate(name, closing, found[3], start, number)
                if name in _BORDERS:
                    self._border(name, closing, start, number)
            elif name in _RAW and not closing:
                end = _RAW[name].search(source, at)
                at = end.start() if end else len(source)
        self._count(source, since, len(source), number - counted + 1)
        while self.borders:
            self._border(self.borders[-1][0], True, len(source), number)

    def _count(self, source: str, start: int, end: int, tags: int) -> None:
        lines = tags + source.count("\n", start, end) + source.count("&", start, end)
        quotes, emphasis, lists = self._state()
        self.lines[quotes, emphasis, lists] += lines

    def _state(self) -> tuple[int, int, int]:
        depths = self.depths
        return depths["blockquote"], depths["em"] + depths["i"], depths["ul"] + depths["ol"]

    def _nest(self, name: str, closing: bool, attributes: str) -> None:
        if not closing:
            self.depths[name] += 1
            if name == "ol" and _START.search(attributes):
                self.indent = _LONG_INDENT
        elif self.depths[name] > (self.borders[-1][1][name] if self.borders else 0):
            self.depths[name] -= 1

    def _tabulate(self, name: str, closing: bool, attributes: str, at: int, number: int) -> None:
        border, _, table = self.borders[-1]
        if border != "table":
            return
        table.close_cell(at, number)
        if name in _ROWS:
            table.in_row = False
        elif name in ("td", "th") and not closing:
            table.open_cell(attributes, at, number)

    def _border(self, name: str, closing: bool, at: int, number: int) -> None:
        if not closing:
            self.borders.append((name, dict(self.depths), _Table()))
        elif self.borders and self.borders[-1][0] == name:
            _, self.depths, table = self.borders.pop()
            table.close_cell(at, number)
            quotes, emphasis, _ = self._state()
            if table.rows:
                self.tables[quotes, emphasis] += table.size()


def _kept(source: str, cap: int, with_tables: bool) -> Iterator[str]:
    """The page in pieces, without emphasis, what is nested deeper than `cap`, and tables if so."""
    page = _Page()
    at = 0
    for start, end, closing, name in page.tokens(source):
        mark = source[start:end]
        if name in ("em", "i"):
            mark = ""
        elif name in _NESTING:
            if page.depths[name] + (not closing) > cap:
                mark = ""
            elif name == "ol" and not closing:
                mark = "<ol>"
        elif name in _TABLES and not with_tables:
            # Browsers close a paragraph before a table, and nothing runs together over its borders.
            mark = "<br>" if name in ("tr", "caption", "table") else " "
        yield source[at:start] + mark
        at = end
    yield source[at:]
