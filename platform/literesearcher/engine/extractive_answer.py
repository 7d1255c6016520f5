"""Makes a short answer out of a page: the identifier first, then what it is, at most 300 characters.

Owns: the wording of answers, and the second hops that a page itself answers (an argument, a default, a base class).
Pure. Refuses to know: turns. Neighbours: `extractive_scoring` chose the page.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from literesearcher.engine.extractive_lexicon import ALIKE
from literesearcher.engine.extractive_question import Concept, Hop
from literesearcher.engine.extractive_scoring import NAME, Candidate, names_it, speaks
from literesearcher.engine.extractive_sentences import best_sentence, credit, prose
from literesearcher.research.passages import sentences, shorten
from literesearcher.research.words import terms

ANSWER_CHARS = 300
_ABOUT_IT = 0.55
"""Share of the second question's words, and 0.1 for each name that the first answer gave."""
_PARAMETER = re.compile(r"`(\**)([A-Za-z_]\w*)` \(([^()`]{1,80}?)(?:, default `([^`]{0,200})`)?\)")
_LISTED = re.compile(r"^Parameters of [\w.]+: (.+)$", re.MULTILINE)
_SIGNATURE = re.compile(r"`[\w.]+\(([^`]*)\)`")
_ARGUMENT = re.compile(r"(?:^|,)\s*(\**)([A-Za-z_]\w*)\s*(?::[^,=]*)?(?:=\s*([^,]+))?")
_BASES = re.compile(r"\(a subclass of ([^)]{1,200})\)")
_SUBCLASS = re.compile(r"\b[Ss]ubclass of `?([A-Za-z_][\w.]*)")
_RAISED = re.compile(r"\b([A-Z]\w*(?:Error|Exception|Warning|Interrupt|Exit|Iteration))\b")
_DESCRIBED = re.compile(r"^ {0,8}([a-z_]\w*)(?: {2,}|\s?: +|\s+[-–] +)(\S.*)$", re.MULTILINE)
_TAGS = re.compile(r"</?(?:think|answer|tool_call|tool_response)>")


@dataclass(frozen=True, slots=True)
class Answer:
    """A text, the name it is about (for the next hop), and the page it rests on."""

    text: str
    name: str | None
    url: str


def direct(hop: Hop, item: Candidate) -> Answer | None:
    """The answer to a hop from its best candidate, None where the page has no sentence that fits."""
    if hop.wants in ("argument", "default", "base", "returns") and item.name is not None:
        found = of_name(hop, item)
        if found is not None:
            return found
        if hop.wants != "returns":
            return None
    if hop.wants == "exception" and item.name is not None and item.kind not in ("exception", None):
        return of_name(hop, item)
    if hop.numeric or (hop.wants == "fact" and item.name is not None and not names_it(hop, item)):
        told = fitting(hop, item, least=0.6)
        return _answer(f"{item.name} — {told}" if item.name else told, item.name, item) if told else None
    if item.name is not None:
        name = item.name
        if hop.wants == "module" and item.kind != "module" and "." in name:
            outer = name.split(".")[0] if item.kind == "method" else name.rsplit(".", 1)[0]
            return _answer(f"{outer} — the module of {name}: {_about(hop, item)}", name, item)
        return _answer(f"{name} — {_about(hop, item)}", name, item)
    told = fitting(hop, item)
    return _answer(told, None, item) if told else None


def of_name(hop: Hop, item: Candidate) -> Answer | None:
    """What the hop asks of a name that is known already; None where its page does not say."""
    name = item.name or item.title
    if hop.wants in ("argument", "default"):
        return _argument(hop, item, name)
    if hop.wants == "base":
        found = _BASES.search(item.evidence) or _SUBCLASS.search(item.evidence)
        bases = found[1].replace("`", "") if found else ""
        return _answer(f"{bases} — the base class of {name}", name, item) if bases else None
    if hop.wants == "exception":
        for sentence in sentences(item.evidence):
            raised = _RAISED.search(sentence)
            if raised and re.search(r"\brais", sentence):
                return _answer(f"{raised[1]} — {name}: {sentence}", name, item)
        return None
    if hop.wants == "returns":
        for sentence in prose(item.evidence):
            if re.search(r"\b[Rr]eturn", sentence):
                return _answer(f"{name}: {sentence}", name, item)
        return None
    if hop.wants == "module" and item.name and "." in name:
        return _answer(f"{name.rsplit('.', 1)[0]} — the module of {name}", name, item)
    told = fitting(hop, item, least=0.6)
    return _answer(f"{name} — {told}", name, item) if told else None


def about_it(hop: Hop, items: list[Candidate], before: Answer) -> Answer | None:
    """For "… and where does she work?": the sentence that says it of somebody whom the answer before speaks of."""
    people = {name.lower() for name in spoken_of(before.text)}
    best: tuple[float, str, Candidate] | None = None
    for item in items:
        if item.name is not None:
            continue
        told = [s for s in prose(item.evidence) if s not in before.text and people & set(re.findall(r"\w+", s.lower()))]
        sentence, share = best_sentence(hop, item, told)
        share += 0.1 * len(people & set(re.findall(r"\w+", sentence.lower())))
        if share >= _ABOUT_IT and (best is None or share > best[0]):
            best = (share, sentence, item)
    return _answer(f"{best[1]} ({before.text})", None, best[2]) if best else None


def spoken_of(text: str) -> list[str]:
    """Words of a text that look like proper names."""
    return list(dict.fromkeys(word for word in re.findall(r"\w+", text) if word[0].isupper() and len(word) > 1))


def fitting(hop: Hop, item: Candidate, *, least: float = 0.0) -> str:
    """The sentence that covers most of the hop's concepts; "" where none covers more than `least`."""
    best, share = best_sentence(hop, item, prose(item.evidence))
    return best if share > least else ""


def _about(hop: Hop, item: Candidate) -> str:
    return item.about or fitting(hop, item) or next(iter(prose(item.evidence)), "")


@dataclass(frozen=True, slots=True)
class _Parameter:
    name: str
    kind: str
    default: str | None


def parameters(evidence: str) -> list[_Parameter]:
    """The parameters that a page lists, else those of its signature."""
    listed = _LISTED.search(evidence)
    if listed:
        known = [_Parameter(found[2], found[3], found[4]) for found in _PARAMETER.finditer(listed[1])]
        if any(parameter.kind == "further keyword arguments" for parameter in known):
            # Which ones, only the text says: a name, spaces or a colon, and what it is for.
            names = dict.fromkeys(found[1] for found in _DESCRIBED.finditer(evidence))
            known += [_Parameter(each, "keyword argument", None) for each in list(names)[:60]]
        return known
    signature = _SIGNATURE.search(evidence)
    if not signature:
        return []
    return [
        _Parameter(found[2], "argument", (found[3] or "").strip() or None)
        for found in _ARGUMENT.finditer(signature[1][:2_000])
    ]


def _argument(hop: Hop, item: Candidate, name: str) -> Answer | None:
    known = parameters(item.evidence)
    if not known:
        return None
    told = prose(item.evidence)
    asked = {asked.lower() for asked in hop.named} - frozenset(name.lower().split("."))
    name_terms = frozenset(terms(name))
    concepts = [concept for concept in hop.concepts if concept.term not in name_terms]
    best: tuple[float, _Parameter, str] | None = None
    for parameter in known:
        mentions = [s for s in told if re.search(rf"(?<!\w){re.escape(parameter.name)}(?!\w)", s)]
        own = frozenset(terms(parameter.name))
        optional = parameter.default is not None or "keyword" in parameter.kind
        sentence = max(mentions, key=lambda s: (_share(concepts, frozenset(terms(s))), -len(s)), default="")
        share = _share(concepts, frozenset(terms(sentence)))
        points = share + (1.2 if optional else 0.3) * _share_of_name(concepts, own)
        if optional and share > 0 and _first_mentioned(sentence, known) == parameter.name:
            points += 0.4
        if hop.wants == "default" and parameter.name.lower() in asked:
            points += 1.5
        if best is None or points > best[0]:
            best = (points, parameter, sentence)
    if best is None or (best[0] < 0.34 and not (hop.wants == "default" and len(known) == 1)):
        return None
    _, parameter, sentence = best
    if hop.wants == "default":
        if parameter.default is None:
            return None
        return _answer(f"{parameter.default} — the default of {parameter.name} of {name}", name, item)
    default = f" (default {parameter.default})" if parameter.default is not None else ""
    kind = parameter.kind if "argument" in parameter.kind else "argument"
    return _answer(f"{parameter.name}: {kind} of {name}{default}" + (f" — {sentence}" if sentence else ""), name, item)


def _first_mentioned(sentence: str, known: list[_Parameter]) -> str:
    names = {parameter.name for parameter in known}
    return next((word for word in re.findall(r"\w+", sentence) if word in names), "")


def _share(concepts: list[Concept], spoken: frozenset[str]) -> float:
    weights = sum(concept.weight for concept in concepts)
    return sum(c.weight * credit(c, spoken, spoken) for c in concepts) / weights if weights else 0.0


def _share_of_name(concepts: list[Concept], own: frozenset[str]) -> float:
    """How much of a parameter's own name the question speaks of, by the same word or one alike."""
    wanted = {concept.term for concept in concepts}
    alike = {other for term in wanted for other in ALIKE.get(term, ())}
    if not own:
        return 0.0
    return sum(
        1.0 if any(speaks(term, asked) for asked in wanted) else 0.6 if term in alike else 0.0 for term in own
    ) / len(own)


def _answer(text: str, name: str | None, item: Candidate) -> Answer:
    safe = _TAGS.sub("", text).replace("\0", "")
    if name is None and NAME.fullmatch(safe.strip()):
        name = safe.strip()
    return Answer(shorten(safe, ANSWER_CHARS), name, item.url)
