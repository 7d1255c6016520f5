"""Recorded tool messages turned back into what the providers must have said.

Owns: the inverse of the search and visit formats: results of each query, and the page and extraction of each URL, so
that a platform that keeps the formats gives the recorded bytes again. Refuses to know: HTTP, the platform's own
formatting: it stands on the formats as published, so that a slip in either shows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from literesearcher.testing.replay.rollouts import RESPONSE_CLOSE, RESPONSE_OPEN, Call

SEARCH_JOIN = "\n=======\n"
PAGE_JOIN = "\n\n\n=======\n"
"""A page's text ends in an empty line, which only the last one loses."""

UNREACHABLE = ("The provided webpage content could not be accessed.", "The webpage content could not be processed.")
TOO_SHORT = (
    "The webpage content is too short or could not be fully loaded.",
    "The webpage content could not be processed.",
)
NOT_EXTRACTED = ("Failed to extract", "Content could not be processed")

MOJIBAKE = re.compile("[\u00c2\u00c3][\u0080-\u00bf]|\u00e2\u20ac|\u00e5[\u0080-\u00bf]|\u00e6[\u0080-\u00bf]")


@dataclass(frozen=True, slots=True)
class SearchItem:
    """One query: `organic` as Serper lists it, None where it listed nothing at all, or a search that failed."""

    query: str
    organic: list[dict[str, str]] | None
    failed: bool = False


@dataclass(frozen=True, slots=True)
class PageItem:
    """One URL of a visit. `kind` says where it ended; evidence and summary are the extractor's where it was asked."""

    url: str
    goal: str
    kind: Literal["read", "unreachable", "too_short", "not_extracted"]
    evidence: str = ""
    summary: str = ""

    @property
    def mojibake(self) -> bool:
        """The page was UTF-8 read as Latin-1, and the model read it."""
        return len(MOJIBAKE.findall(self.evidence + self.summary)) >= 3


Item = SearchItem | PageItem


def invert(call: Call, response: str) -> list[Item]:
    """One item a target, in the order asked. ValueError where the text is not of the published form."""
    text = response[len(RESPONSE_OPEN) : -len(RESPONSE_CLOSE)]
    items: list[Item] = []
    searching = call.name == "search"
    for target, part in zip(call.targets, _parts(call, text), strict=True):
        items.append(_search(target, part) if searching else _page(target, call.goal, part))
    again = (SEARCH_JOIN if searching else PAGE_JOIN).join(render(item) for item in items)
    if (again if searching else again.strip()) != text:
        raise ValueError(f"the recorded text of {call.name} {call.targets} does not come back the same")
    return items


def render(item: Item) -> str:
    """The text that the published format gives this item (a page without its closing empty line)."""
    if isinstance(item, PageItem):
        notes = {"unreachable": UNREACHABLE, "too_short": TOO_SHORT, "not_extracted": NOT_EXTRACTED}
        evidence, summary = notes.get(item.kind, (item.evidence, item.summary))
        return _page_head(item.url, item.goal) + f"{evidence}\n\nSummary: \n{summary}"
    if item.failed:
        return f"Google search timeout for query: '{item.query}'"
    if item.organic is None:
        return f"No results found for '{item.query}'."
    entries = []
    for number, result in enumerate(item.organic, start=1):
        entry = f"{number}. [{result['title']}]({result['link']})\n"
        if "date" in result:
            entry += f"Date published: {result['date']}\n"
        if "source" in result:
            entry += f"Source: {result['source']}\n"
        entries.append(entry + (f"\n{result['snippet']}" if "snippet" in result else ""))
    head = f"A Google search for '{item.query}' found {len(entries)} results:\n\n## Web Results\n"
    return head + "\n\n".join(entries)


def _parts(call: Call, text: str) -> list[str]:
    """The text cut at the joints; a page or a snippet may hold what looks like one, so each part's head is sought."""
    join, targets = (SEARCH_JOIN, call.targets) if call.name == "search" else (PAGE_JOIN, call.targets)
    parts: list[str] = []
    for following in targets[1:]:
        heads = _search_heads(following) if call.name == "search" else (_page_head(following, call.goal),)
        found = [at for head in heads if (at := text.find(join + head)) >= 0]
        if not found:
            raise ValueError(f"no text for {following!r}")
        parts.append(text[: min(found)])
        text = text[min(found) + len(join) :]
    return [*parts, text]


def _search_heads(query: str) -> tuple[str, ...]:
    return (
        f"A Google search for '{query}' found ",
        f"No results found for '{query}'.",
        f"Google search timeout for query: '{query}'",
    )


def _search(query: str, text: str) -> SearchItem:
    found, none, failed = _search_heads(query)
    if text == none:
        return SearchItem(query, None)
    if text == failed:
        return SearchItem(query, None, failed=True)
    head = re.compile(r"(\d+) results:\n\n## Web Results\n").match(text, len(found))
    if not text.startswith(found) or head is None:
        raise ValueError(f"unknown search text {text[:120]!r}")
    rest, organic = text[head.end() :], []
    for number in range(1, int(head[1]) + 1):
        at = rest.find(f"\n\n{number + 1}. [") if number < int(head[1]) else -1
        entry, rest = (rest, "") if at < 0 else (rest[:at], rest[at + 2 :])
        organic.append(_result(entry, number))
    return SearchItem(query, organic)


def _result(entry: str, number: int) -> dict[str, str]:
    line, _, rest = entry.partition("\n")
    head = re.fullmatch(rf"{number}\. \[(?P<title>.*)\]\((?P<link>.*)\)", line)
    if head is None:
        raise ValueError(f"unknown result {line[:120]!r}")
    result = {"title": head["title"], "link": head["link"]}
    for name, label in (("date", "Date published: "), ("source", "Source: ")):
        if rest.startswith(label):
            value, _, rest = rest.partition("\n")
            result[name] = value[len(label) :]
    if rest.startswith("\n") and len(rest) > 1:
        result["snippet"] = rest[1:]
    return result


def _page_head(url: str, goal: str) -> str:
    return f"The useful information in {url} for user goal {goal} as follows: \n\nEvidence in page: \n"


def _page(url: str, goal: str, text: str) -> PageItem:
    head = _page_head(url, goal)
    evidence, summary_label, summary = text[len(head) :].rpartition("\n\nSummary: \n")
    if not text.startswith(head) or not summary_label:
        raise ValueError(f"unknown page text {text[:120]!r}")
    kinds: dict[tuple[str, str], Literal["unreachable", "too_short", "not_extracted"]] = {
        UNREACHABLE: "unreachable",
        TOO_SHORT: "too_short",
        NOT_EXTRACTED: "not_extracted",
    }
    kind = kinds.get((evidence, summary))
    return PageItem(url, goal, kind) if kind else PageItem(url, goal, "read", evidence, summary)
