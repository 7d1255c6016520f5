"""Reads a question: its hops, what each asks for, the words that an answer's page must speak of.

Owns: the split of "…, and which argument of it …", kinds, scopes, proper names. Pure; refuses to know pages and turns.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from literesearcher.engine.extractive_lexicon import CJK_FILLERS, GENERIC, KINDS, TYPE_NAMES
from literesearcher.research.words import CJK_RUN, STOP_WORDS, pairs, stem, terms

QUESTION_CHARS = 4_000
_HOPS = 3
_SPLIT = re.compile(
    r"(?:[,;:]\s*|\s+|\?\s*|\.\s+)(?:and|but|then|also)\s+(?:then\s+|also\s+)?"
    r"(?=(?:which|what|who|whom|whose|how|where|when|by\s+what|in\s+which|in\s+what|of\s+which|to\s+which|from\s+which|"
    r"with\s+which|by\s+which|on\s+which)\b)"
    r"|[?]\s+(?=\w)|;\s+(?=(?:which|what|who)\b)|,\s+(?=(?:which|what|who)\b[^,?]*\b(?:it|its|they|their|that|this)\b)",
    re.IGNORECASE,
)
_PRONOUN = re.compile(
    r"\b(?:it|its|they|their|them|he|she|his|her|(?:that|this|the\s+same|said)\s+(?:\w+))\b", re.IGNORECASE
)
_KIND = re.compile(
    r"(?:^(?:the|a|an)|\b(?:which|what|is\s+there\s+an?|find\s+(?:a|the)))\s+((?:[\w.'-]+\s+){0,4}?)"
    r"(functions?|routines?|coroutines?|methods?|class(?:es)?|types?|modules?|packages?|librar(?:y|ies)|exceptions?|"
    r"errors?|warnings?|arguments?|parameters?|options?|flags?|kwargs?|iterators?|decorators?|built-?ins?|constants?|"
    r"keywords?|containers?|data\s?types?|calls?|tools?)\b",
    re.IGNORECASE,
)
_SCOPES = (
    re.compile(r"\b([A-Za-z_][\w.]*)\s+(?:module|package|library)\b"),
    re.compile(
        r"\b(?:the\s+(?:module|package|library)|(?:module|package|library)\s+(?:called|named))\s+[`'\"]?([A-Za-z_][\w.]*)"
    ),
    re.compile(r"\b(?:module|package|library)\s+[`'\"]([A-Za-z_][\w.]*)"),
)
_OWNED = re.compile(
    r"\b(?:functions?|methods?|class(?:es)?|exceptions?|arguments?|parameters?|options?|flags?|constants?|iterators?|"
    r"keywords?|tools?|something)\s+(?:of|in|from|to|for|does)\s+(?:the\s+|an?\s+|python'?s?\s+)?[`'\"]?([A-Za-z_][\w.]*)"
)
_IMPERATIVE = re.compile(
    r"^(?:please\s+|can\s+you\s+|could\s+you\s+)*(?:name|tell\s+me|give\s+me|identify|say|find|list)\s+(?:me\s+)?",
    re.IGNORECASE,
)
_DEFAULT = re.compile(
    r"\b(?:what|which)(?:'s|\s+is|\s+are)?\s+(?:the\s+|its\s+)?(?:\w+\s+){0,2}?defaults?\b|\bdefaults?\s+(?:to\b|values?\s+of\b)"
    r"|\bby\s+default\b"
)
_BASE = re.compile(
    r"\b(?:what|which)\b.*\b(?:subclass\s+of|inherits?(?:\s+from)?|derives?\s+from)\W*$|\b(?:base|parent|super)[\s-]?class\b"
)
_CALLED = re.compile(r"[,;]?\s*(?:and\s+)?what\s+is\s+(?:it\s+called|its\s+name)\W*$", re.IGNORECASE)
_OF_DEFAULT = re.compile(r"\bdefaults?\b.*\b(?:of|in|for)\s+[`'\"]?([A-Za-z_][\w.]*)[`'\"]?\s*$")
_NO_SCOPE = frozenset(
    ("the", "a", "an", "python", "standard", "which", "what", "this", "that", "it", "its", "any", "built", "builtin")
)
_PROPER_EXEMPT = frozenset(("python", "i", "true", "false", "none", "cpython", "boolean", "iterator"))
OF_A_NAME = ("argument", "default", "returns", "base")
"""What a question asks of a name that it gives: "argument of sorted"; "method of str" asks within one."""
NAMED = re.compile(r"[A-Za-z_][\w.]*")
_TOKEN = re.compile(r"[A-Za-z_][\w.]*\w|\w+")
_DIRECT = re.compile(r"\b(?:what\s+(?:does|do|is|are)|explain|describe|purpose\s+of|meaning\s+of)\b", re.IGNORECASE)
_HOW = re.compile(r"\bhow\s+(?:do|can|could|should|would|to|does\s+one|might)\b", re.IGNORECASE)
_NUMBER = re.compile(
    r"\b(?:how\s+(?:many|much|tall|old|far|long|big|large|deep|high|fast)|what\s+year)\b|^when\b", re.I
)

_COUNTED = re.compile(r"\bhow\s+many\s+(\w+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Concept:
    """A word that an answer should speak of: the whole term, or all of its parts."""

    term: str
    parts: tuple[str, ...] = ()
    weight: float = 1.0
    proper: bool = False
    """A proper name, a number or an acronym: a page without it speaks of something else."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One question. `wants`: a kind of name, `way` for a how-to, `fact` otherwise."""

    text: str
    wants: str
    concepts: tuple[Concept, ...]
    minor: frozenset[str]
    """Generic terms: they order what is alike, and support nothing."""
    named: tuple[str, ...] = ()
    """Words that look or stand like names in a program, as written."""
    scopes: tuple[str, ...] = ()
    """Modules that the question names outright."""
    owners: tuple[str, ...] = ()
    """What follows "method of", "argument of" and the like."""
    subjects: tuple[str, ...] = ()
    """The name that it asks something of, where that name is known."""
    strangers: tuple[str, ...] = ()
    """What it asks within, where no name that was found stands in that."""
    refers: bool = False
    """It speaks of what an earlier hop found."""
    builtin: bool = False
    """It asks for a name that needs no import."""
    numeric: bool = False
    """Only a sentence with a number answers it."""
    counted: str = ""
    """What "how many" counts: the number stands near it."""
    words: tuple[str, ...] = field(default=())
    """Content words as written, for queries."""


def read(question: str) -> tuple[Hop, ...]:
    """The hops of a question, at least one."""
    text = re.sub(r"^\s*question\s*:\s*", "", question[:QUESTION_CHARS], flags=re.IGNORECASE).strip()
    text = _CALLED.sub("", _IMPERATIVE.sub("", text))
    text = re.sub(r"\be-mail", "email", text, flags=re.IGNORECASE)
    parts = [part.strip(" ,;.?!") for part in _SPLIT.split(text) if part and part.strip(" ,;.?!")]
    if len(parts) > _HOPS:
        parts = [*parts[: _HOPS - 1], " ".join(parts[_HOPS - 1 :])]
    hops = [_hop(part) for part in parts or [text]]
    for number, hop in enumerate(hops):
        if number and hop.wants in OF_A_NAME and not hop.owners and not hop.scopes:
            hops[number] = replace(hop, refers=True)
    return tuple(hop for hop in hops if hop.concepts or hop.named or hop.refers) or (hops[0],)


def _hop(text: str) -> Hop:
    wants = _wants(text)
    scopes = tuple(dict.fromkeys(name for rule in _SCOPES for name in rule.findall(text) if _may_name(name)))
    owned = [*_OWNED.findall(text), *_before_kind(text), *_OF_DEFAULT.findall(text)]
    owners = tuple(dict.fromkeys(name for name in owned if _may_name(name) and name not in scopes))
    concepts: dict[str, Concept] = {}
    minor: set[str] = set()
    named: dict[str, None] = {}
    words: dict[str, None] = {}
    for index, match in enumerate(_TOKEN.finditer(text)):
        word = match.group()
        if CJK_RUN.search(word):
            continue
        lower = word.lower()
        dotted = "." in word or "_" in word or any(char.isupper() for char in word[1:] if not word.isupper())
        if dotted:
            named[word] = None
        if not dotted and word.islower() and lower not in STOP_WORDS:
            named.setdefault(word)
        if (lower in STOP_WORDS or len(lower) < 2) and not dotted:
            continue
        words.setdefault(word)
        found = terms(word.rsplit(".", 1)[-1] if dotted else word)
        if not found:
            continue
        if lower in scopes or word in scopes:
            continue
        if all(term in GENERIC for term in found):
            minor.update(found)
            continue
        proper = index > 0 and word[0].isupper() and lower not in _PROPER_EXEMPT and "." not in word
        proper = proper or (word.isdigit() and len(word) >= 4)
        whole, *rest = found if len(found) > 1 else (found[0],)
        concepts.setdefault(whole, Concept(whole, tuple(rest), 1.5 if proper else 1.0, proper))
    for pair in _cjk_pairs(text):
        concepts.setdefault(pair, Concept(pair, (), 0.6))
        words.setdefault(pair)
    return Hop(
        text=text,
        wants=wants,
        concepts=tuple(concepts.values()),
        minor=frozenset(minor),
        named=tuple(named),
        scopes=scopes,
        owners=owners,
        refers=bool(_PRONOUN.search(text)),
        builtin=bool(re.search(r"\bbuilt-?\s?in\b", text, re.IGNORECASE)),
        numeric=bool(_NUMBER.search(text)),
        counted=stem(counted[1].lower()) if (counted := _COUNTED.search(text)) else "",
        words=tuple(words),
    )


def _before_kind(text: str) -> list[str]:
    """The word before the kind, which may be a module or a type: "Which math function", "Which str method"."""
    found = _KIND.search(text)
    words = found.group(1).split() if found else []
    return [words[-1]] if words and NAMED.fullmatch(words[-1]) else []


def ground(hop: Hop, names: Iterable[str]) -> Hop:
    """The hop, with its owners settled by the names that were found: a word is a scope where names stand in it."""
    scopes, subjects, strangers = list(hop.scopes), [], []
    lowered = [name.lower() for name in names]
    outer = {part for name in lowered for part in _outers(name)}
    for owner in hop.owners:
        options = {owner.lower(), TYPE_NAMES.get(owner.lower(), owner.lower())}
        within = re.search(rf"\b{re.escape(owner)}[`'\"]?\s+(?:function|method|class|module|library)\b", hop.text)
        if hop.wants in OF_A_NAME and not within:
            if any(name in options or name.rsplit(".", 1)[-1] in options for name in lowered):
                subjects.append(owner)
        elif options & outer:
            scopes.append(owner)
        else:
            strangers.append(owner)
    words = {term for name in (*scopes, *subjects) for term in terms(name)}
    concepts = tuple(concept for concept in hop.concepts if concept.term not in words)
    if concepts and hop.wants not in ("fact", "way", *OF_A_NAME) and len(concepts) > 1:
        # "Which function of re replaces …": the first word left is what the function does.
        concepts = (replace(concepts[0], weight=1.6 * concepts[0].weight), *concepts[1:])
    return replace(hop, scopes=tuple(scopes), subjects=tuple(subjects), strangers=tuple(strangers), concepts=concepts)


def _outers(name: str) -> set[str]:
    parts = name.split(".")[:-1]
    return {*parts, *(".".join(parts[:end]) for end in range(1, len(parts) + 1))}


def _wants(text: str) -> str:
    lowered = text.lower()
    if _DEFAULT.search(lowered):
        return "default"
    if _BASE.search(lowered):
        return "base"
    kind = _KIND.search(text)
    if kind:
        word = kind.group(2).lower().replace(" ", "")
        if word.startswith("keyword"):
            return "argument"
        return KINDS.get(stem(word), KINDS.get(stem(word.rstrip("s")), "function"))
    if re.search(r"\breturns?\b", lowered) and re.search(r"\b(?:what|which)\b.*\b(?:does|do|is)\b", lowered):
        return "returns"
    if _HOW.search(text):
        return "way"
    return "fact"


def is_direct(hop: Hop) -> bool:
    """True for "What does X do?" and for a bare name: the page of X answers it, whatever else it says."""
    return len(hop.words) <= 1 or bool(_DIRECT.search(hop.text))


def _may_name(name: str) -> bool:
    lower = name.lower()
    return lower not in _NO_SCOPE and lower not in STOP_WORDS and stem(lower) not in GENERIC


def _cjk_pairs(text: str) -> list[str]:
    if text.isascii():
        return []
    found: list[str] = []
    for run in CJK_RUN.findall(text):
        for filler in CJK_FILLERS:
            run = run.replace(filler, " ")
        for part in run.split():
            found.extend(pairs(part))
    return list(dict.fromkeys(found))
