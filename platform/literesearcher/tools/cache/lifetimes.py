"""How long what is kept: as good as new, given while a new one is fetched, and the searches that age faster.

Owns: the rule of age, the words that ask for news. Refuses to know: stores, providers. The numbers are the settings'.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from literesearcher.research.tool_options import SourcePolicy
from literesearcher.settings.sections import ToolsSection

Age = Literal["fresh", "stale", "dead"]
Bucket = Literal["steady", "recent"]

_SKEW_SECONDS = 300.0
"""Clocks of two machines differ by less; what was fetched later than that from here was not fetched."""
_NEWS = re.compile(
    r"\b(?:latest|newest|breaking|news|headlines?|today(?:'s)?|tonight|yesterday|tomorrow|recent(?:ly)?|current(?:ly)?"
    r"|right now|so far|up[- ]to[- ]date|(?:this|last|past) (?:hour|day|week|weekend|month|quarter|year|season)"
    r"|heute|aktuell\w*|aujourd'hui|dernières|hoy|últim[oa]s|oggi|hoje|сегодня|последние)\b"
    r"|最新|最近|近期|今天|今日|昨天|昨日|明天|本周|这周|本週|今週|本月|这个月|今年|目前|现在|現在|新闻|新聞|ニュース"
    r"|오늘|최신|최근|뉴스",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Lifetime:
    """Seconds from the fetch on. `stale` follows `fresh`; `negative` stands for both where nothing was found."""

    fresh: float
    stale: float = 0.0
    negative: float = 0.0

    def age(self, seconds: float, *, negative: bool = False) -> Age:
        """What a result of this age is good for."""
        fresh = self.negative if negative else self.fresh
        if -_SKEW_SECONDS <= seconds < fresh:
            return "fresh"
        return "stale" if not negative and fresh <= seconds < fresh + self.stale else "dead"

    def longest(self, *, negative: bool = False) -> float:
        """For how long the store has to hold it."""
        return self.negative if negative else self.fresh + self.stale


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """Of each kind of result."""

    search: Lifetime
    recent: Lifetime
    page: Lifetime
    reading: Lifetime
    record_seconds: float
    """For how long a recording is held; it has no age."""

    @classmethod
    def of(cls, section: ToolsSection) -> Lifetimes:
        """As the settings say."""
        negative = section.negative_seconds
        return cls(
            search=Lifetime(section.search_fresh_seconds, section.search_stale_seconds, negative),
            recent=Lifetime(
                section.recent_fresh_seconds,
                section.recent_stale_seconds,
                min(negative, section.recent_fresh_seconds),
            ),
            page=Lifetime(section.page_fresh_seconds, section.page_stale_seconds, negative),
            reading=Lifetime(section.extraction_fresh_seconds),
            record_seconds=section.record_days * 86_400.0,
        )

    def of_search(self, bucket: Bucket) -> Lifetime:
        """The bucket's."""
        return self.recent if bucket == "recent" else self.search


def bucket_of(query: str, sources: SourcePolicy, *, year: int) -> Bucket:
    """`recent` where the search asks for news: by its words, by naming this year, or by a range of dates."""
    if sources.published_after or sources.published_before:
        return "recent"
    if _NEWS.search(query) or re.search(rf"(?<!\d){year}(?!\d)", query):
        return "recent"
    return "steady"
