"""How well a page answers a hop, and whether what it says is enough to answer at all.

Owns: candidates (a page, a section of one, a sentence), coverage of the hop's concepts, the thresholds below which
there is no evidence. Pure; refuses to know turns and wording. Neighbours: `extractive_question`, `extractive_answer`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from literesearcher.engine.extractive_lexicon import ALIKE, GENERIC, TYPE_NAMES
from literesearcher.engine.extractive_question import OF_A_NAME, Hop, is_direct
from literesearcher.engine.extractive_reading import Found, PageRead
from literesearcher.engine.extractive_sentences import DEEP_CREDIT, best_sentence, credit, prose, there
from literesearcher.research.words import STOP_WORDS, stem, terms

NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
_SECTION = re.compile(r"^#{2,4} ([A-Za-z_][\w.]*)[^\n]*$", re.MULTILINE)
_KIND_LINE = re.compile(
    r"^(?:Built-in )?(?:Coroutine )?(function|class method|static method|method|class|exception|property)\b"
    r"|^The (module) `",
    re.MULTILINE | re.IGNORECASE,
)
_PARTICLES = frozenset(("is", "has", "get", "set", "to", "from", "as", "of"))
_SHORT_CHARS, _DEEP_IN_LONG = 1_500, 0.4
"""A long text holds many words by chance."""
_ENOUGH = {1: 0.65, 2: 0.68, 3: 0.56}
_ENOUGH_MANY = 0.5
_ENOUGH_FACT = 0.74


@dataclass(frozen=True, slots=True)
class Candidate:
    """A page (or a section of one) as an answer to a hop. `name` None: a page that documents no name."""

    url: str
    title: str
    name: str | None
    about: str
    """Its first sentence, from the title."""
    evidence: str
    place: int = 99
    """Place in the search results."""

    @property
    def kind(self) -> str | None:
        """What its page says it is."""
        found = _KIND_LINE.search(self.evidence[:2_000])
        if not found:
            return None
        kind = (found[1] or found[2]).lower()
        return "method" if kind.endswith("method") else kind


@dataclass(frozen=True, slots=True)
class Score:
    """`total` orders candidates; `enough` says whether the hop may be answered from it."""

    total: float
    coverage: float
    enough: bool


def candidates(found: dict[str, Found], pages: dict[str, PageRead]) -> list[Candidate]:
    """The pages that were read, and the sections of those that document several names."""
    made: list[Candidate] = []
    for url, page in pages.items():
        hit = found.get(url)
        title = hit.title if hit else _heading(page.evidence) or url
        made.append(candidate(url, title, page.evidence, hit.place if hit else 99))
        if made[-1].name is None:
            continue
        outer = _outer(made[-1].name)
        sections = list(_SECTION.finditer(page.evidence))
        for number, section in enumerate(sections):
            end = sections[number + 1].start() if number + 1 < len(sections) else len(page.evidence)
            body = page.evidence[section.end() : end].strip()
            if "." in section[1] and body:
                first = body.split("\n\n", 1)[0]
                name = outer + section[1]
                made.append(Candidate(url, name, name, first[:300], section.group() + "\n" + body, 99))
    return made


def _outer(name: str | None) -> str:
    """What stands before a class's name in its module: `random.` of `random.Random`."""
    return name.rpartition(".")[0] + "." if name and "." in name else ""


def candidate(url: str, title: str, evidence: str, place: int) -> Candidate:
    """A page as a candidate: a title such as `heapq.merge — Merge …` names what it documents."""
    head, dash, about = title.partition(" — ")
    named = NAME.fullmatch(head.strip()) is not None and (bool(dash) or url.endswith(head.strip()))
    return Candidate(url, title, head.strip() if named else None, about.strip(), evidence, place)


def score(hop: Hop, item: Candidate) -> Score:
    """The candidate's score for the hop."""
    near = frozenset(terms(f"{item.name or ''} {item.about}" if item.name else item.title))
    last = item.name.rsplit(".", 1)[-1].lower() if item.name else ""
    near |= {concept.term for concept in hop.concepts if len(concept.term) >= 4 and concept.term in last}
    deep = frozenset(terms(item.evidence))
    concepts = hop.concepts
    weights = sum(concept.weight for concept in concepts)
    worth = DEEP_CREDIT if len(item.evidence) <= _SHORT_CHARS else _DEEP_IN_LONG
    gained = sum(concept.weight * credit(concept, near, deep, worth) for concept in concepts)
    coverage = gained / weights if weights else 1.0
    if item.name is None:
        # A page about no name in a program: what counts is that one sentence of it speaks of what is asked.
        coverage = best_sentence(hop, item, prose(item.evidence))[1]
    own = _share_of_own_name(hop, item)
    verb = (
        bool(concepts)
        and hop.wants != "way"
        and own > 0
        and any(speaks(part, concepts[0].term) for part in _own_parts(item))
    )
    total = (
        coverage
        + (0.3 if verb else 0.15) * own
        + 0.3 * _precision(hop, item)
        + 0.1 / (1 + item.place)
        + _kind_bonus(hop, item)
    )
    total += _in_order(hop, item)
    total += 0.08 * min(3, sum(term in near for term in hop.minor))
    total += 0.12 * any(len(term) >= 3 and last.startswith(term) and last != term for term in hop.minor) + _named_bonus(
        hop, item
    )
    total -= 0.04 * max(0, (item.name or "").count(".") - 1)
    in_scope = _in_scope(hop, item)
    enough = in_scope and _enough(hop, item, coverage, 0.1 * (own == 1.0 and len(concepts) > 2), near, deep)
    return Score(total if in_scope else total - 1.0, coverage, enough)


def _share_of_own_name(hop: Hop, item: Candidate) -> float:
    """How much of the last part of its name the question speaks of: functions are named after what they do.

    Names run words together and shorten them: `isdigit` speaks of digits, `rect` of what is rectangular.
    """
    own = _own_parts(item)
    wanted = [concept.term for concept in hop.concepts]
    return sum(any(speaks(part, term) for term in wanted) for part in own) / len(own) if own else 0.0


def _own_parts(item: Candidate) -> list[str]:
    parts = [part for part in (item.name or "").rsplit(".", 1)[-1].lower().split("_") if part]
    return [part for part in parts if part not in _PARTICLES] or parts


def speaks(part: str, term: str) -> bool:
    """True where a part of a name stands for the term, run together or shortened."""
    if stem(part) == term:
        return True
    if len(term) >= 6 and part.endswith(term[:3]):
        return True
    return (len(term) >= 4 and term in part) or (len(part) >= 3 and term.startswith(part))


def _in_order(hop: Hop, item: Candidate) -> float:
    """For words that stand side by side in the question and in the first sentence: "from polar to rectangular"."""
    sides = [[term for term in terms(text) if term not in STOP_WORDS] for text in (hop.text, item.about)]
    asked, told = (set(pairwise(side)) for side in sides)
    return 0.06 * min(5, len(asked & told))


def _precision(hop: Hop, item: Candidate) -> float:
    """How much of its first sentence the question speaks of."""
    about = [term for term in dict.fromkeys(terms(item.about)) if term not in STOP_WORDS]
    wanted = (
        {concept.term for concept in hop.concepts} | hop.minor | {term for each in hop.scopes for term in terms(each)}
    )
    wanted |= {term for concept in hop.concepts for term in ALIKE.get(concept.term, ())}
    told = [term for term in about if term in wanted or term not in GENERIC]
    return sum(term in wanted for term in told) / len(told) if told else 0.0


def _enough(
    hop: Hop, item: Candidate, coverage: float, extra: float, near: frozenset[str], deep: frozenset[str]
) -> bool:
    concepts = hop.concepts
    if any(not set(terms(owner)) <= near | deep for owner in hop.strangers):
        return False
    if item.kind == "module" and hop.wants in ("function", "class", "method", "exception"):
        return False
    strict = hop.wants == "fact" or coverage < _ENOUGH_FACT
    if strict and any(concept.proper and not there(concept, near | deep) for concept in concepts):
        return False
    if names_it(hop, item) and (is_direct(hop) or hop.wants in OF_A_NAME or not concepts):
        return True
    if not concepts:
        return hop.wants != "fact" and bool(hop.scopes) and item.name is not None
    if hop.wants == "fact":
        if len(concepts) == 1:
            return item.name is None and coverage >= _ENOUGH_FACT and (there(concepts[0], near) or hop.wants != "fact")
        return coverage >= _ENOUGH_FACT
    return coverage + extra >= _ENOUGH.get(len(concepts), _ENOUGH_MANY)


def names_it(hop: Hop, item: Candidate) -> bool:
    """True where the question names the candidate itself: `heapq.merge`, `sorted`, `Counter`."""
    return _named_bonus(hop, item) > 0


def _named_bonus(hop: Hop, item: Candidate) -> float:
    """More where the whole name is named: `open` is the built-in one before it is `gzip.open`."""
    if item.name is None:
        return 0.0
    single = is_direct(hop) and hop.wants == "fact" and len(hop.concepts) <= 1
    asked = {name.lower() for name in hop.named if single or _name_like(name)} | {name.lower() for name in hop.subjects}
    full = item.name.lower()
    return 1.0 if full in asked else 0.6 if full.rsplit(".", 1)[-1] in asked else 0.0


def _name_like(name: str) -> bool:
    return "." in name or "_" in name or any(char.isupper() for char in name[1:])


def _in_scope(hop: Hop, item: Candidate) -> bool:
    """False where the question names a module, a class or the very name asked about, and this is outside of it."""
    if hop.subjects and item.name is not None:
        return names_it(hop, item)
    if not hop.scopes:
        return True
    if item.name is None:
        spoken = frozenset(terms(f"{item.title} {item.url} {item.evidence}"))
        return any(set(terms(scope)) <= spoken for scope in hop.scopes)
    full = f".{item.name.lower()}."
    options = {scope.lower() for scope in hop.scopes} | {TYPE_NAMES.get(scope.lower(), "") for scope in hop.scopes}
    return any(f".{scope}." in full for scope in options if scope)


def _kind_bonus(hop: Hop, item: Candidate) -> float:
    wanted, kind = hop.wants, item.kind
    if hop.builtin and item.name is not None:
        return 0.3 if "." not in item.name else -0.2
    if wanted == "way":
        return {"function": 0.15, "method": -0.1, "module": -0.25, "class": -0.25}.get(kind or "", 0.0)
    if wanted in (*OF_A_NAME, "fact", "constant") or kind is None:
        return 0.0
    if wanted == kind or (wanted == "class" and kind == "exception"):
        return 0.2
    lower_class = kind == "class" and item.name is not None and item.name.rsplit(".", 1)[-1].islower()
    if wanted == "function" and (kind == "method" or lower_class):
        return 0.1 if lower_class else -0.05
    return -0.4 if kind == "module" else -0.25


def _heading(evidence: str) -> str:
    first = evidence.lstrip().split("\n", 1)[0]
    return first.lstrip("# ").strip() if first.startswith("#") else ""
