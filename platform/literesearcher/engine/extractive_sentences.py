"""Sentences of a page, and how much of a question one of them speaks of.

Owns: what is prose in Markdown, the credit that a concept gets. Pure; refuses to know candidates' order and wording.
Neighbours: `extractive_scoring` and `extractive_answer` above.
"""

from __future__ import annotations

import re
from typing import Protocol

from literesearcher.engine.extractive_lexicon import ALIKE
from literesearcher.engine.extractive_question import Concept, Hop
from literesearcher.research.passages import sentences
from literesearcher.research.words import stem, terms

ALIKE_CREDIT = 0.7
DEEP_CREDIT = 0.6
"""A word in the body of a page says less of what the page is about than one in its title or first sentence."""
_NEAR_WORDS = 4
_TITLE_CREDIT = 0.8
"""A sentence need not repeat what its page is titled after."""
_DIGIT = re.compile(r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|twelve|none|no)\b", re.IGNORECASE)
_NOT_PROSE = re.compile(r"^(?:#|```|~~~|>>>|\.\.\. |Parameters of |`[\w.]+\(|- `)")


class Titled(Protocol):
    """What a page is called."""

    @property
    def title(self) -> str: ...

    @property
    def name(self) -> str | None: ...


def credit(concept: Concept, near: frozenset[str], deep: frozenset[str], worth: float = DEEP_CREDIT) -> float:
    """0 to 1: how surely the concept is there, by itself or by a word alike, in the title or deeper in the page."""
    alike = ALIKE.get(concept.term, frozenset())
    return max(
        1.0 if there(concept, near) else 0.0,
        worth if there(concept, deep) else 0.0,
        0.0 if alike.isdisjoint(near) else ALIKE_CREDIT,
        0.0 if alike.isdisjoint(deep) else ALIKE_CREDIT * worth,
    )


def there(concept: Concept, place: frozenset[str]) -> bool:
    """True where the concept itself is there, whole or in all its parts."""
    return concept.term in place or (bool(concept.parts) and all(part in place for part in concept.parts))


def _number_near(sentence: str, counted: str) -> bool:
    """True where a number stands in the sentence, and near what is counted where that is in it."""
    if not counted:
        return bool(_DIGIT.search(sentence))
    words = re.findall(r"\w+", sentence)
    numbers = [at for at, word in enumerate(words) if _DIGIT.match(word)]
    places = [at for at, word in enumerate(words) if stem(word.lower()) == counted]
    return any(abs(place - number) <= _NEAR_WORDS for place in places for number in numbers[:50])


def best_sentence(hop: Hop, item: Titled, told: list[str]) -> tuple[str, float]:
    """The sentence that covers most of the hop's concepts, and its share of them, 0 to 1 and a little more."""
    context = frozenset(terms(f"{item.title} {item.name or ''}"))
    weights = sum(concept.weight for concept in hop.concepts) or 1.0
    best, best_share = "", 0.0
    for sentence in told:
        if hop.numeric and not _number_near(sentence, hop.counted):
            continue
        spoken = frozenset(terms(sentence))
        here = [credit(concept, spoken, spoken) for concept in hop.concepts]
        if not any(here):
            continue
        share = sum(
            concept.weight * max(own, _TITLE_CREDIT * credit(concept, context, context))
            for concept, own in zip(hop.concepts, here, strict=True)
        )
        share = share / weights + 0.03 * sum(term in spoken for term in hop.minor)
        if share > best_share + 1e-9:
            best, best_share = sentence, share
    return best, best_share


def prose(evidence: str) -> list[str]:
    """Sentences of the evidence, lines of a paragraph joined, without headings, code and lists of names."""
    found: list[str] = []
    fenced = False
    for block in evidence.split("\n\n"):
        lines = []
        for line in block.split("\n"):
            stripped = line.strip()
            if stripped.startswith(("```", "~~~")):
                fenced = not fenced
            elif not fenced and stripped and not _NOT_PROSE.match(stripped):
                lines.append(stripped)
        if any(line.startswith(("- ", "* ", "|")) for line in lines):
            found.extend(line.lstrip("-* ") for line in lines)
        else:
            found.extend(sentences(" ".join(lines)))
    return found
