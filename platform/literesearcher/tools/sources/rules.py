"""A job's source policy applied: to search results, to a target before it is fetched, to a page after redirects. Pure.

Owns: the order of the rules, what each refusal is called in events and metrics and to the model. Refuses to know:
providers, caches, texts around it (`formatting`). Above: `tools.search`, `tools.visit`. Below: `domains`,
`dates`, `languages`.

A result or page without a date passes a date range: engines date few results, and a range that left the others out
would leave next to nothing. A page that declares a date outside the range is refused when it is visited.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from literesearcher.errors import CallerError
from literesearcher.research.tool_options import SourcePolicy
from literesearcher.tools.providers.port import FetchedPage, SearchResult
from literesearcher.tools.sources.dates import days_of
from literesearcher.tools.sources.domains import host_name, host_of, registrable
from literesearcher.tools.sources.languages import may_be_in

Reason = Literal["domain_denied", "domain_not_allowed", "published_date", "language", "pages_of_domain"]
_SAID: dict[Reason, str] = {
    "domain_denied": "its site is on the list of denied sites",
    "domain_not_allowed": "its site is not on the list of allowed sites",
    "published_date": "it was published outside the allowed dates",
    "language": "it is not in an allowed language",
    "pages_of_domain": "as many pages of its site as are allowed have been read",
}


@dataclass(frozen=True, slots=True)
class Filtered:
    """Results that the policy lets through, and how many it left out by reason."""

    results: tuple[SearchResult, ...]
    left_out: dict[str, int]


class SourceRules:
    """One call's view of its job's policy. Counts the pages that the call itself takes."""

    def __init__(self, policy: SourcePolicy, pages_read: Mapping[str, int] | None = None) -> None:
        """`pages_read`: pages that the job has read, by registrable name. CallerError for a date that is none."""
        self.empty = policy == SourcePolicy()
        self._allowed = _entries(policy.allow_domains) if policy.allow_domains else None
        self._denied = _entries(policy.deny_domains)
        self._after = _day("sources.published_after", policy.published_after)
        self._before = _day("sources.published_before", policy.published_before)
        self._languages = policy.languages
        self._most = policy.max_pages_per_domain
        self._read = Counter(pages_read or {})

    def results(self, results: Sequence[SearchResult], *, now: datetime) -> Filtered:
        """What may be listed. `now`: when the results were given, which `3 days ago` counts from."""
        if self.empty:
            return Filtered(tuple(results), {})
        kept: list[SearchResult] = []
        left_out: Counter[str] = Counter()
        for result in results:
            reason = self._of_result(result, now)
            if reason is None:
                kept.append(result)
            else:
                left_out[reason] += 1
        return Filtered(tuple(kept), dict(left_out))

    def of_target(self, url: str) -> Reason | None:
        """Why this URL may not be fetched, by its site alone."""
        host = host_of(url)
        if self._matches(self._denied, host):
            return "domain_denied"
        if self._allowed is not None and not self._matches(self._allowed, host):
            return "domain_not_allowed"
        return None

    def take(self, url: str) -> Reason | None:
        """Count a page of this URL's site as read, unless the site has none left: then why."""
        domain = domain_of(url)
        if domain is None or self._most is None:
            return None
        if self._read[domain] >= self._most:
            return "pages_of_domain"
        self._read[domain] += 1
        return None

    def of_page(self, page: FetchedPage, url: str) -> Reason | None:
        """Why this page, asked for by `url` and fetched, may not be read. A redirect to another site counts there."""
        final = page.url or url
        reason = self.of_target(final)
        if reason is not None:
            return reason
        if domain_of(final) != domain_of(url):
            reason = self.take(final)
            if reason is not None:
                return reason
        if page.published and (self._after or self._before):
            # A page declares a whole day, which needs no moment to count from.
            day = _declared(page.published)
            if day is not None and not self._in_range(day, day):
                return "published_date"
        if self._languages and not may_be_in(self._languages, page.text, page.language):
            return "language"
        return None

    def _of_result(self, result: SearchResult, now: datetime) -> Reason | None:
        reason = self.of_target(result.link)
        if reason is not None:
            return reason
        if result.date and (self._after or self._before):
            days = days_of(result.date, now=now)
            if days is not None and not self._in_range(days.first, days.last):
                return "published_date"
        if self._languages and not may_be_in(self._languages, f"{result.title}\n{result.snippet or ''}"):
            return "language"
        domain = domain_of(result.link)
        if domain is not None and self._most is not None and self._read[domain] >= self._most:
            return "pages_of_domain"
        return None

    def _in_range(self, first: date, last: date) -> bool:
        return (self._after is None or last >= self._after) and (self._before is None or first <= self._before)

    @staticmethod
    def _matches(entries: Entries, host: str | None) -> bool:
        return host is not None and entries.match(host)


@dataclass(frozen=True, slots=True)
class Entries:
    """Domains (with what is under them) and suffixes (what ends so)."""

    domains: frozenset[str]
    suffixes: tuple[str, ...]

    def match(self, host: str) -> bool:
        """Is the host one of these?"""
        if host in self.domains or host.endswith(self.suffixes):
            return True
        # What ends in an address is not under it.
        return any(host.endswith(f".{domain}") for domain in self.domains)


def said(reason: Reason) -> str:
    """The evidence that the model reads of a page that may not be read."""
    return f"This page may not be read: {_SAID[reason]} (source policy of this job)."


def left_out_line(left_out: Mapping[str, int]) -> str:
    """What the model reads below results of which some are missing."""
    count = sum(left_out.values())
    return f"({count} {'result' if count == 1 else 'results'} left out by this job's source policy.)"


def domain_of(url: str) -> str | None:
    """The registrable name of a URL's host; None where it has no host."""
    host = host_of(url)
    return None if host is None else registrable(host)


def _entries(listed: Iterable[str]) -> Entries:
    domains: set[str] = set()
    suffixes: list[str] = []
    for entry in listed:
        text = entry.strip()
        try:
            name = host_name(text.removeprefix("."))
        except ValueError:
            continue  # no host is written so, so none matches it
        if text.startswith("."):
            suffixes.append(f".{name}")
        else:
            domains.add(name)
    return Entries(frozenset(domains), tuple(suffixes))


def _day(field: str, text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise CallerError(f"{field} must be a day, YYYY-MM-DD", field=field) from None


def _declared(text: str) -> date | None:
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None
