"""The pages that an answer rests on, with the sentence of each that supports it best.

Owns: choice, order and quotes of citations. Refuses to know: how pages were fetched. Pages that failed never get here.
"""

from __future__ import annotations

from collections.abc import Iterable

from literesearcher.research.events import Citation
from literesearcher.research.passages import sentences
from literesearcher.research.state import Source
from literesearcher.research.words import content_terms

MOST = 10
QUOTE_CHARACTERS = 300


def cite(sources: Iterable[Source], answer: str, question: str) -> list[Citation]:
    """At most ten, those that share most with the answer first; pages that share nothing with it come only where
    no page does."""
    wanted, asked = set(content_terms(answer)), set(content_terms(question))
    latest = {source.url: source for source in sources}
    ranked: list[tuple[int, int, Citation]] = []
    for source in latest.values():
        score, quote = _best(source.evidence, wanted, asked)
        ranked.append((score, source.seq, Citation(source.url, source.title, quote, source.seq)))
    supporting = [entry for entry in ranked if entry[0] > 0] or ranked
    supporting.sort(key=lambda entry: (-entry[0], entry[1]))
    return [citation for _, _, citation in supporting[:MOST]]


def _best(evidence: str, wanted: set[str], asked: set[str]) -> tuple[int, str]:
    best, quote = (0, 0), evidence.strip()[:QUOTE_CHARACTERS]
    for text in sentences(evidence):
        found = set(content_terms(text))
        score = (len(found & wanted), len(found & asked))
        if score > best:
            best, quote = score, text.strip()[:QUOTE_CHARACTERS]
    return best[0], quote
