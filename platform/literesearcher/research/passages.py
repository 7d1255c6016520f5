"""Passages of a page and how well each one speaks to a question: lexical, pure, linear in the page.

`split` cuts Markdown where a reader would; `rank` is BM25 with the page itself as the collection, helped by how much
of the question a passage covers and by identifiers; `extract` is what a visit reports where no model extracts.
Refuses to know: indexes, tools, engines. Neighbours: `research.words` below; `tools`, `corpus`, `engine.extractive`
above.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass

from literesearcher.research.words import compounds, content_terms, terms

PASSAGE_CHARS = 700
"""A passage grows by whole blocks up to this length, and a longer block is cut at about this length."""

_K1, _B = 1.2, 0.6
"""BM25's usual saturation and a milder length norm than its 0.75: passages are of similar length already."""

_FENCE = re.compile(r"^ {0,3}(```|~~~)")
_HEADING = re.compile(r"^ {0,3}#{1,6}\s+\S")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[\"'(\[`*A-Z0-9])|(?<=[。！？])|\n+")
_HEADING_CHARS = 160


def split(text: str) -> list[str]:
    """Passages in page order. A heading stays with what it heads, and is repeated where that is cut."""
    passages: list[str] = []
    heading, size = "", 0
    parts: list[str] = []

    def close() -> None:
        nonlocal parts, size
        if parts:
            passages.append("\n\n".join(parts))
        parts, size = [], 0

    for block in _blocks(text):
        if _HEADING.match(block):
            close()
            heading = block[:_HEADING_CHARS]
            parts, size = [heading], len(heading)
            continue
        for piece in _pieces(block):
            if size + len(piece) > PASSAGE_CHARS and parts and parts != [heading]:
                close()
                if heading:
                    parts, size = [heading], len(heading)
            parts.append(piece)
            size += len(piece) + 2
    close()
    return passages


def _blocks(text: str) -> list[str]:
    """Headings, fenced code and runs of lines between blank lines."""
    blocks: list[str] = []
    lines: list[str] = []
    fence = ""
    for line in text.splitlines():
        mark = _FENCE.match(line)
        if fence:
            lines.append(line)
            if mark and mark.group(1) == fence:
                blocks.append("\n".join(lines))
                lines, fence = [], ""
            continue
        if mark or _HEADING.match(line) or not line.strip():
            if lines:
                blocks.append("\n".join(lines))
                lines = []
            if mark:
                lines, fence = [line], mark.group(1)
            elif line.strip():
                blocks.append(line.strip())
            continue
        lines.append(line.rstrip())
    if lines:
        blocks.append("\n".join(lines))
    return blocks


def _pieces(block: str) -> list[str]:
    """A block as it is, or cut at line ends, sentence ends, and at last anywhere, into pieces of at most the size."""
    if len(block) <= PASSAGE_CHARS:
        return [block]
    pieces: list[str] = []
    held: list[str] = []
    size = 0
    separator = "\n" if block.count("\n") > len(block) // PASSAGE_CHARS else " "
    units = block.split("\n") if separator == "\n" else sentences(block)
    for unit in (part[i : i + PASSAGE_CHARS] for part in units for i in range(0, max(1, len(part)), PASSAGE_CHARS)):
        if held and size + len(unit) > PASSAGE_CHARS:
            pieces.append(separator.join(held))
            held, size = [], 0
        held.append(unit)
        size += len(unit) + 1
    if held:
        pieces.append(separator.join(held))
    return pieces


def sentences(text: str) -> list[str]:
    """Sentences (or lines) of a passage, none empty."""
    return [part.strip() for part in _SENTENCE_END.split(text) if part.strip()]


def rank(passages: list[str], query: str, top: int) -> list[tuple[float, int, str]]:
    """The `top` best passages as (score, index, passage), best first; passages that share no term are left out."""
    asked = content_terms(query)
    wanted = set(asked)
    if not wanted:
        return []
    counts: list[Counter[str]] = []
    lengths: list[int] = []
    frequency: Counter[str] = Counter()
    for passage in passages:
        found = terms(passage)
        held = Counter(term for term in found if term in wanted)
        counts.append(held)
        lengths.append(len(found))
        frequency.update(held.keys())
    total = len(passages)
    average = sum(lengths) / total if total else 1.0
    idf = {term: math.log(1 + (total - frequency[term] + 0.5) / (frequency[term] + 0.5)) + 0.3 for term in wanted}
    whole = sum(idf.values())
    names = [name for name in compounds(query) if len(name) > 3]
    scored: list[tuple[float, int, str]] = []
    for index, held in enumerate(counts):
        if not held:
            continue
        norm = _K1 * (1 - _B + _B * lengths[index] / (average or 1.0))
        score = sum(idf[term] * count * (_K1 + 1) / (count + norm) for term, count in held.items())
        coverage = sum(idf[term] for term in held) / whole
        bonus = sum(1.0 for name in names if name in passages[index])
        scored.append((score * (0.5 + coverage) + bonus, index, passages[index]))
    scored.sort(key=lambda item: (-item[0], item[1]))
    return scored[:top]


@dataclass(frozen=True, slots=True)
class Extract:
    """What a page says about a goal, in the page extractor's three fields."""

    rational: str
    evidence: str
    summary: str


def extract(page: str, goal: str, *, max_chars: int = 3000) -> Extract:
    """The opening of the page and its best passages for the goal, in page order, at most `max_chars` of evidence."""
    passages = split(page)
    if not passages:
        return Extract("The page holds no text.", "", "")
    best = rank(passages, goal, 8)
    chosen = {0: passages[0][:PASSAGE_CHARS]}
    size = len(chosen[0])
    for _, index, passage in best:
        if index not in chosen and size + len(passage) <= max_chars:
            chosen[index] = passage
            size += len(passage) + 2
    lead = best[0][2] if best else passages[0]
    reason = (
        f"{len(best)} of {len(passages)} passages share words with the goal; chosen by lexical score, "
        "by no language model."
        if best
        else "No passage shares a word with the goal; the opening of the page stands here."
    )
    return Extract(
        rational=reason,
        evidence="\n\n".join(chosen[index] for index in sorted(chosen)),
        summary=best_sentences(lead, goal, max_chars=300),
    )


def best_sentences(passage: str, query: str, *, max_chars: int) -> str:
    """The sentence of a passage that covers most of the query, shortened at a word; headings are left out."""
    found = [part for part in sentences(passage) if not _HEADING.match(part) and not _FENCE.match(part)]
    if not found:
        return shorten(passage, max_chars)
    wanted = set(content_terms(query))

    def spoken(sentence: str) -> tuple[int, float]:
        told = set(terms(sentence))
        shared = len(wanted & told)
        return shared, shared / (len(told) or 1)

    return shorten(max(found, key=spoken), max_chars)


def shorten(text: str, max_chars: int) -> str:
    """The text on one line, cut at a word with an ellipsis where it is longer than `max_chars`."""
    line = " ".join(text[: max_chars * 4].split())
    if len(line) <= max_chars:
        return line
    cut = line[: max_chars - 1]
    at = cut.rfind(" ")
    return (cut[:at] if at > max_chars // 2 else cut).rstrip(" ,;:(") + "…"
