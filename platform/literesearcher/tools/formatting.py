"""The texts that the model reads from a tool call, to the byte as it was trained on.

Owns: every wording and blank line of search and visit results, and how several are joined.
Refuses to know: where results and pages come from. Above: `tools.search`, `tools.visit`, `testing.ScriptedTools`.

The wordings are facts of the published model, not choices: a changed byte costs accuracy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from literesearcher.reading.page_kinds import PageKind
from literesearcher.research.messages import Profile
from literesearcher.tools.providers.port import SearchResult

QUERY_JOIN: dict[Profile, str] = {"inference": "\n=======\n", "training": "\n\n=======\n\n"}
PAGE_JOIN = "\n=======\n"


class PageNote(NamedTuple):
    """What stands for evidence and summary where a page gave none."""

    evidence: str
    summary: str


UNREACHABLE = PageNote(
    "The provided webpage content could not be accessed.", "The webpage content could not be processed."
)
TOO_SHORT = PageNote(
    "The webpage content is too short or could not be fully loaded.", "The webpage content could not be processed."
)
CACHE_ONLY = ("not_kept", "cache_unavailable")
"""Failures of a job that reads from the cache only."""
NOT_EXTRACTED = PageNote("Failed to extract", "Content could not be processed")
WALLS: dict[PageKind, PageNote] = {
    "captcha": PageNote(
        "The webpage content could not be read: the site asks its visitors to prove that they are human (a captcha or "
        "bot check).",
        UNREACHABLE.summary,
    ),
    "consent": PageNote(
        "The webpage content could not be read: the site shows a cookie or privacy consent page in front of it.",
        UNREACHABLE.summary,
    ),
    "script_only": PageNote(
        "The webpage content could not be read: the page is drawn by JavaScript and holds no text of its own.",
        UNREACHABLE.summary,
    ),
    "paywall": PageNote(
        "The webpage content could not be read: it stands behind a paywall or login, and nothing before that is "
        "readable.",
        UNREACHABLE.summary,
    ),
}
"""In `improved` only: what stands in front of a page."""


def search_text(query: str, results: Sequence[SearchResult], profile: Profile = "inference") -> str:
    """One query's results. An empty list keeps its heading, as a provider that listed nothing was rendered."""
    entries = [_entry(number, result, profile) for number, result in enumerate(results, start=1)]
    return f"A Google search for '{query}' found {len(entries)} results:\n\n## Web Results\n" + "\n\n".join(entries)


def _entry(number: int, result: SearchResult, profile: Profile) -> str:
    head = f"{number}. [{result.title}]({result.link})"
    if profile == "training":
        return f"{head}\n{result.snippet or ''}"
    if result.date:
        head += f"\nDate published: {result.date}"
    if result.source:
        head += f"\nSource: {result.source}"
    return f"{head}\n" + (f"\n{result.snippet}" if result.snippet else "")


def no_results_text(query: str) -> str:
    """The provider had nothing to list."""
    return f"No results found for '{query}'."


def search_failed_text(query: str) -> str:
    """No provider answered; never to be mistaken for a search without results."""
    return f"Google search timeout for query: '{query}'"


def cache_only_text(target: str, failure: str) -> str:
    """A query or URL that a job which reads from the cache only did not find there; `failure`: one of `CACHE_ONLY`."""
    if failure == "cache_unavailable":
        return f"Error: the cache cannot be reached for '{target}', and this job reads from the cache only."
    return f"Error: nothing is kept for '{target}', and this job reads from the cache only."


def page_text(url: str, goal: str, evidence: str, summary: str) -> str:
    """One page's part of a visit, before the whole is stripped."""
    return (
        f"The useful information in {url} for user goal {goal} as follows: \n\n"
        f"Evidence in page: \n{evidence}\n\n"
        f"Summary: \n{summary}\n\n"
    )


def evidence_of_part(evidence: str, *, left_percent: float | None = None, before_paywall: bool = False) -> str:
    """Evidence of a page that was not read whole, saying so; in `improved` only."""
    if before_paywall:
        evidence = f"(The page is behind a paywall or login; only the part before it could be read.)\n{evidence}"
    if left_percent is not None:
        share = max(1, round(left_percent))
        evidence = f"{evidence}\n(The page is very long: its last {share}% were not read.)"
    return evidence


def join_searches(texts: Sequence[str], profile: Profile = "inference") -> str:
    """Texts of several queries in the order asked; nothing is stripped."""
    return QUERY_JOIN[profile].join(texts)


def join_pages(texts: Sequence[str]) -> str:
    """Texts of several pages in the order asked, the whole stripped."""
    return PAGE_JOIN.join(texts).strip()


def for_training(results: Sequence[SearchResult], seen: set[str]) -> list[SearchResult]:
    """What training listed: no link twice in a call (`seen` grows), none whose Markdown would not parse."""
    kept = []
    for result in results:
        if ")" not in result.link and "]" not in result.title and result.link not in seen:
            seen.add(result.link)
            kept.append(result)
    return kept
