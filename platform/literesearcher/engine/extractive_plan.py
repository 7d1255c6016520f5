"""Decides the extractive engine's next turn from what the conversation holds. Deterministic, and keeps nothing.

| the conversation holds | the turn |
| --- | --- |
| no search | search: the question's words, its names, words alike |
| results, none of them read | visit the best, at most three |
| a page that answers every hop | answer |
| the first hop's answer only | read that page for the second hop, then search for it |
| nothing that answers, one search so far | search once more in other words |
| nothing that answers | end without an answer |

Refuses to know: the turn's text form (`extractive`), scores (`extractive_scoring`).
"""

from __future__ import annotations

from dataclasses import dataclass

from literesearcher.engine import extractive_question as questions
from literesearcher.engine.extractive_answer import Answer, about_it, direct, fitting, of_name, spoken_of
from literesearcher.engine.extractive_lexicon import TYPE_NAMES, WORDS_ALIKE
from literesearcher.engine.extractive_question import Hop
from literesearcher.engine.extractive_reading import Reading
from literesearcher.engine.extractive_scoring import NAME, Candidate, candidate, candidates, names_it, score
from literesearcher.research.passages import shorten
from literesearcher.research.words import stem, terms

_PAGES = 3
_KIND_WORDS = ("function", "class", "method", "exception", "constant")
_SEARCHES = 3
_VISITS = 5
_WORTH_READING = 0.25
"""Least share of a hop's words that a result shows, to be opened."""
_NEAR = 0.4
"""How far behind the best score an answer still counts as nearly as good."""
_GOAL_CHARS = 600
_GIST_CHARS = 320


@dataclass(frozen=True, slots=True)
class Search:
    """Search next."""

    thought: str
    queries: list[str]


@dataclass(frozen=True, slots=True)
class Visit:
    """Read pages next."""

    thought: str
    urls: list[str]
    goal: str


@dataclass(frozen=True, slots=True)
class Finish:
    """Answer now; `answer` None ends the job without evidence."""

    thought: str
    answer: str | None


Plan = Search | Visit | Finish


def plan(reading: Reading, *, last: bool = False) -> Plan:
    """The next turn; `last` allows no further tool call."""
    hops = questions.read(reading.question)
    known = _subject(reading, hops)
    if not reading.searches and not last:
        return Search("These are the words of the question.", _queries(hops, known))
    items = candidates(reading.found, reading.pages)
    results = [candidate(hit.url, hit.title, hit.snippet, hit.place) for hit in reading.found.values()]
    names = [item.name for item in (*items, *results) if item.name is not None]
    hops = tuple(questions.ground(hop, names) for hop in hops)
    resolved, missing = _resolve(hops, items, known)
    if missing is None:
        text = resolved[-1].text
        return Finish("The page that scores best for the question says this.", text)
    if last:
        return Finish("No further page can be read, and what was read does not support an answer.", None)
    hop = hops[missing]
    subject = resolved[-1].name if resolved and hop.refers else known if hop.refers else None
    people = spoken_of(resolved[-1].text) if resolved and hop.refers and not subject else []
    unread = _unread(hop, reading, subject, people)
    if unread and reading.visits < _VISITS:
        goal = reading.question.strip() if not subject else f"{hop.text} ({subject})"
        return Visit("These results share most with the question.", unread, goal[:_GOAL_CHARS])
    if resolved and hop.refers:
        page = resolved[-1]
        goal = f"{hop.text} {page.name or ''}".strip()[:_GOAL_CHARS]
        if goal not in reading.goals and reading.visits < _VISITS:
            return Visit(f"{page.name or 'That page'} is found; its page is read for the rest.", [page.url], goal)
    if reading.searches < _SEARCHES:
        queries = [query for query in _other_queries(hop, subject, resolved) if query not in reading.queries]
        if queries:
            return Search("What was read does not answer it; other words for the same.", queries[:3])
    return Finish("What was found does not support an answer.", None)


def gist(reading: Reading) -> str:
    """The most that one tool step says about the question, in a line: pages read, else results found."""
    hop = questions.read(reading.question)[0]
    items = candidates(reading.found, reading.pages)
    results = [candidate(hit.url, hit.title, hit.snippet, hit.place) for hit in reading.found.values()]
    ranked = sorted(items or results, key=lambda item: (-score(hop, item).total, item.url))
    lines = [f"{item.title} ({item.url})" if not items else _line(hop, item) for item in ranked[:2]]
    return shorten("; ".join(lines), _GIST_CHARS)


def _line(hop: Hop, item: Candidate) -> str:
    told = item.about or fitting(hop, item)
    return f"{item.name or item.title}: {told} ({item.url})"


def _resolve(hops: tuple[Hop, ...], items: list[Candidate], known: str | None) -> tuple[list[Answer], int | None]:
    """Answers hop by hop, and the number of the first hop that has none.

    Of first answers that are nearly as good as the best, one that the next hop can go on from is taken.
    """
    first = [_of_known(hops[0], items, known, None)] if hops[0].refers and known else _ranked(hops[0], items)
    tried: list[tuple[list[Answer], int | None]] = []
    for answer in first:
        if answer is None:
            continue
        resolved = [answer]
        for hop in hops[1:]:
            later = _of_known(hop, items, resolved[-1].name, resolved[-1]) if hop.refers else _best(hop, items)
            if later is None:
                break
            resolved.append(later)
        missing = len(resolved) if len(resolved) < len(hops) else None
        if missing is None:
            return resolved, None
        tried.append((resolved, missing))
    return tried[0] if tried else ([], 0)


def _of_known(hop: Hop, items: list[Candidate], name: str | None, before: Answer | None) -> Answer | None:
    """The hop answered from the page of what is known, or where that has no name, by what it speaks of."""
    if name or before is None:
        about = [item for item in items if item.name == name]
        return next((found for item in about if (found := of_name(hop, item))), None)
    return about_it(hop, items, before) or _best(hop, items)


def _best(hop: Hop, items: list[Candidate]) -> Answer | None:
    return next(iter(_ranked(hop, items)), None)


def _ranked(hop: Hop, items: list[Candidate]) -> list[Answer]:
    """The answers that the evidence supports, best first, as far as they come near the best."""
    ranked = sorted(((score(hop, item), item) for item in items), key=lambda pair: (-pair[0].total, pair[1].url))
    found: list[tuple[float, Answer]] = []
    for value, item in ranked:
        if value.enough and (not found or value.total >= found[0][0] - _NEAR):
            answer = direct(hop, item)
            if answer is not None:
                found.append((value.total, answer))
    return [answer for _, answer in found]


def _unread(hop: Hop, reading: Reading, subject: str | None, people: list[str]) -> list[str]:
    """The best results that were not read yet, at most three; only such as name one of `people` where there are any."""
    named = {name.lower() for name in people}
    ranked: list[tuple[float, str]] = []
    best = 0.0
    for hit in reading.found.values():
        if hit.url in reading.asked:
            continue
        item = candidate(hit.url, hit.title, hit.snippet, hit.place)
        value = score(hop, item)
        told_of = names_it(hop, item) or (subject is not None and item.name == subject)
        points = value.total + told_of
        spoken = named & {word.lower() for word in spoken_of(f"{hit.title} {hit.snippet}")}
        points += 0.3 * len(spoken)
        if not told_of and not spoken and (value.coverage <= _WORTH_READING or named):
            continue
        best = max(best, points)
        ranked.append((points, hit.url))
    ranked.sort(key=lambda pair: (-pair[0], pair[1]))
    return [url for points, url in ranked[:_PAGES] if points >= 0.4 * best]


def _queries(hops: tuple[Hop, ...], known: str | None) -> list[str]:
    """Two or three first queries: the words of the first hop, its names with the kind asked for, the last hop's."""
    first = hops[0]
    base = " ".join(first.words) or first.text
    queries = [f"{known} {base}" if known and first.refers else base]
    names = [TYPE_NAMES.get(name.lower(), name) for name in (*first.scopes, *first.owners)]
    names += [name for name in first.named if "." in name or "_" in name]
    core = [word for word in first.words if stem(word.lower()) not in first.minor]
    if first.wants == "exception":
        core.append("error")
    narrow = " ".join(dict.fromkeys([*names, *(TYPE_NAMES.get(word.lower(), word) for word in core)]))
    queries.append(narrow)
    if len(hops) > 1 and not hops[1].refers:
        queries.append(" ".join(hops[1].words))
    elif first.wants in _KIND_WORDS and (first.scopes or first.owners):
        queries.append(" ".join([*names, *[word for word in core if word not in names][:1], first.wants]))
    elif first.wants in questions.OF_A_NAME and first.owners:
        queries.append(" ".join([*first.owners, "built-in function"]))
    else:
        queries.append(" ".join(word for each in core for word in WORDS_ALIKE.get(stem(each.lower()), (each,))[:3]))
    return list(dict.fromkeys(query[:400] for query in queries if query.strip()))[:3]


def _other_queries(hop: Hop, subject: str | None, resolved: list[Answer]) -> list[str]:
    """The hop in other words: words alike, without its scope, with what was found before."""
    core = [word for word in hop.words if not set(terms(word)) & hop.minor]
    alike = [word for each in core for word in WORDS_ALIKE.get(stem(each.lower()), ())[:3]]
    queries = []
    if subject:
        queries.append(f"{subject} {' '.join(core)}")
    elif resolved and hop.refers:
        queries.append(" ".join([*spoken_of(resolved[-1].text)[:6], *core]))
    if alike:
        queries.append(" ".join([*hop.scopes, *core, *alike]))
        queries.append(" ".join([*hop.scopes, *alike]))
    if core:
        queries.append(" ".join(core))
    return list(dict.fromkeys(query[:400].strip() for query in queries if query.strip()))


def _subject(reading: Reading, hops: tuple[Hop, ...]) -> str | None:
    """The name that a follow-up question goes on about: what the answer before it begins with."""
    if not reading.earlier or not hops[0].refers:
        return None
    head = reading.earlier.split(" — ")[0].split(": ")[0].strip()
    if NAME.fullmatch(head):
        return head
    dotted = [name for name in NAME.findall(reading.earlier) if "." in name]
    return dotted[0] if dotted else None
