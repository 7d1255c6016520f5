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
    """At most ten: those whose quotes share most with the answer; pages that share nothing with it come only where
    no page does. A page that was read several times is cited for the reading that supports the answer best. Those whose
    title and quote together carry most of the answer come first, and of these the pages that are about it by title:
    `math.gcd` before `math`, which lists it."""
    wanted, asked = set(content_terms(answer)), set(content_terms(question))
    best: dict[str, tuple[int, Citation]] = {}
    for source in sources:
        score, quote = _best(source.evidence, wanted, asked)
        if source.url not in best or score > best[source.url][0]:
            best[source.url] = score, Citation(source.url, source.title, quote, source.seq)
    supporting = [entry for entry in best.values() if entry[0] > 0] or list(best.values())
    supporting.sort(key=lambda entry: (-entry[0], entry[1].seq))
    chosen = [citation for _, citation in supporting[:MOST]]
    return sorted(chosen, key=lambda citation: (*_carried(citation, wanted), citation.seq))


def _carried(citation: Citation, wanted: set[str]) -> tuple[int, int]:
    """How much of the answer title and quote carry, and the title alone; most first in order of the negatives."""
    title = wanted.intersection(content_terms(citation.title))
    return -len(title.union(wanted.intersection(content_terms(citation.quote)))), -len(title)


def _best(evidence: str, wanted: set[str], asked: set[str]) -> tuple[int, str]:
    best, quote = (0, 0), evidence.strip()[:QUOTE_CHARACTERS]
    for sentence in sentences(evidence):
        for text in _windows(sentence):
            found = set(content_terms(text))
            score = (len(found & wanted), len(found & asked))
            if score > best:
                best, quote = score, text
    return best[0], quote


def _windows(sentence: str) -> list[str]:
    """The sentence, or what of it fits in a quote, from several places: a table's row may run on for pages."""
    if len(sentence) <= QUOTE_CHARACTERS:
        return [sentence]
    step = QUOTE_CHARACTERS // 2
    starts = range(0, len(sentence) - step, step)
    return [_from_a_word(sentence, start)[:QUOTE_CHARACTERS].strip() for start in starts]


def _from_a_word(sentence: str, start: int) -> str:
    if start == 0:
        return sentence
    at = sentence.find(" ", start, start + 40)
    return sentence[at + 1 if at >= 0 else start :]
