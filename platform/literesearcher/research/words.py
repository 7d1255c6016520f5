"""Words of a text, the one reading of them that passages, the local index's names and the extractive engine share.

Owns: tokens, stems, the parts of identifiers, CJK bigrams, stop words. Linear in the text, whatever it holds.
Refuses to know: scores, pages, indexes. Neighbours: `research.passages`, `corpus.storage`, `engine.extractive`.
"""

from __future__ import annotations

import re
from functools import lru_cache

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003134f"
CJK_RUN = re.compile(f"[{_CJK}]+")
"""Runs of Han, kana and hangul: written without spaces (or with particles glued on), read as pairs of characters."""

_TOKEN = re.compile(f"[{_CJK}]+|[^\\W{_CJK}]+")
_DOTTED = re.compile(r"\b[A-Za-z_][A-Za-z0-9_]*+(?:\.[A-Za-z_][A-Za-z0-9_]*+)*+")
_HUMPS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W_A-Za-z0-9]+")
_COMPOUND = re.compile(
    r"\b(?:[A-Za-z_]\w*+(?:\.[A-Za-z_]\w*+)++|[^\W_]++(?:_+[^\W_]++)++|[a-z]++[A-Z]\w*+|[A-Z][a-z0-9]++[A-Z]\w*+"
    r"|[A-Z]{2,}+[a-z]\w*+)"
)
_VOWEL = re.compile(r"[aeiouy]")

LONGEST_TOKEN = 64
"""Characters; a longer run is no word anybody asks for (base64, hashes), and is left out."""

_STOP = """
    a an and any are as at be been being both but by can could did do does doing done each either else for from had
    has have having he her here him his how i if in into is it its itself just let may me might mine more most my
    neither no nor not of on one only or other our out over own please same shall she should so some such than that
    the their them then there these they this those through thus to too under until up upon us very was we were what
    when where whether which while who whom whose why will with would yet you your
    named called tell know say says want wants need needs
"""
STOP_WORDS = frozenset(_STOP.split())
"""Words that say nothing about what a page is about."""


_IRREGULAR_FORMS = """
begin began begun|write wrote written|run ran|build built|make made|lead led|win won|take took taken|give gave given
hold held|send sent|keep kept|choose chose chosen|break broke broken|speak spoke spoken|grow grew grown|know knew known
draw drew drawn|sell sold|buy bought|teach taught|think thought|lose lost|pay paid|fall fell fallen|rise rose risen
drive drove driven|child children|man men|woman women
"""
_IRREGULAR = {
    form: entry.split()[0] for entry in _IRREGULAR_FORMS.replace("\n", "|").split("|") for form in entry.split()[1:]
}
"""Forms that no rule takes back to their verb or noun."""


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """A light English stem of a lower-case word: plural, -ing, -ed, -er, -or, -ion, -ly and the final e go."""
    word = _IRREGULAR.get(word, word)
    if len(word) <= 3 or not word.isascii() or not word.isalpha():
        return word
    base = _singular(word)
    for suffix in ("ization", "ation", "ing", "ion", "ed", "er", "or", "ly"):
        if base.endswith(suffix):
            rest = base[: -len(suffix)]
            if len(rest) >= 3 and _VOWEL.search(rest):
                if suffix == "ization":
                    rest += "iz"
                elif suffix == "ation":
                    rest += "at" if len(rest) < 4 else ""
                if len(rest) > 3 and rest[-1] == rest[-2] and rest[-1] not in "lsz":
                    rest = rest[:-1]
                base = rest
                break
    if base.endswith("at") and len(base) > 5:
        base = base[:-2]
    if base.endswith("ate") and len(base) > 6:
        base = base[:-3]
    return base[:-1] if base.endswith("e") and len(base) > 3 else base


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith("sses") or (word.endswith(("xes", "zes", "ches", "shes")) and len(word) > 5):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


@lru_cache(maxsize=65_536)
def _token_terms(token: str) -> tuple[str, ...]:
    if len(token) > LONGEST_TOKEN:
        return ()
    lower = token.lower()
    if token.islower() and "_" not in token:
        return (stem(lower),)
    parts = [part.lower() for part in _HUMPS.findall(token)]
    if len(parts) == 1:
        return (stem(parts[0]),)
    return (lower, *(stem(part) for part in parts))


def pairs(run: str) -> list[str]:
    """The overlapping pairs of a CJK run, or its one character."""
    return [run] if len(run) == 1 else [run[i : i + 2] for i in range(len(run) - 1)]


def terms(text: str) -> list[str]:
    """The terms of a text in order: stems, whole identifiers and their parts, pairs of CJK characters."""
    found: list[str] = []
    for token in _TOKEN.findall(text):
        if CJK_RUN.match(token):
            found.extend(pairs(token))
        else:
            found.extend(_token_terms(token))
    return found


def content_words(text: str) -> list[str]:
    """The words of a question that carry meaning, as written and once each, stop words left out."""
    seen: dict[str, None] = {}
    for token in _TOKEN.findall(text):
        if token.lower() not in STOP_WORDS and len(token) <= LONGEST_TOKEN:
            seen.setdefault(token)
    return list(seen)


def content_terms(text: str) -> list[str]:
    """The distinct terms of the content words of a question; of all its words where nothing else is left."""
    found = list(dict.fromkeys(term for word in content_words(text) for term in terms(word)))
    return found or list(dict.fromkeys(terms(text)))


def compounds(text: str) -> list[str]:
    """Distinct identifiers of more than one part, as written: `heapq.merge`, `read_csv`, `parseArgs`, `HTMLParser`."""
    return list(dict.fromkeys(name for name in _COMPOUND.findall(text) if len(name) <= 2 * LONGEST_TOKEN))


def dotted_names(text: str) -> list[str]:
    """Everything that could be a name in a program, dots kept, once each and as written."""
    return list(dict.fromkeys(name for name in _DOTTED.findall(text) if len(name) <= 2 * LONGEST_TOKEN))


def identifier_parts(name: str) -> list[str]:
    """Lower-case spellings under which an identifier is looked up: whole, each dotted part, each hump."""
    lower = name.lower()
    found = [lower]
    for part in name.split("."):
        found.append(part.lower())
        found.extend(hump.lower() for hump in _HUMPS.findall(part))
    return list(dict.fromkeys(part for part in found if part))
