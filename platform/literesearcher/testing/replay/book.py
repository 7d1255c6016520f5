"""Where each replayed job is, what it may ask for now, and everything that was not as recorded.

Owns: the checks (assistant text as served, tool messages as recorded, calls with the recorded arguments) and the
report. Refuses to know: HTTP. A call belongs to the turn that a job was last served, so that a call recorded twice
with two results gets each in its place, also when it is made again after a crash.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from literesearcher.testing.replay.inversion import Item, PageItem, SearchItem, invert
from literesearcher.testing.replay.rollouts import Case
from literesearcher.testing.replay.served import ServedTurn, question_forms, serve_turns, url_key

Messages = Sequence[tuple[str, str]]
"""(role, content) pairs."""


class Unexpected(Exception):
    """A request that no recorded job would make. It is in the report already."""


@dataclass
class Progress:
    """One case as it is replayed; several jobs of the same question share it."""

    case: Case
    turns: tuple[ServedTurn, ...]
    served: int = 0
    answers: int = 0
    mismatches: list[str] = field(default_factory=list)
    reordered: int = 0
    """Tool messages that another recording of the very same call explains."""
    asked: set[tuple[int, int]] = field(default_factory=set)
    """(turn, item) pairs that a provider was asked for."""
    when: dict[int, int] = field(default_factory=dict)
    """When a turn was last served, by the book's count of turns."""
    openings: set[tuple[str, str]] = field(default_factory=set)
    """(system message, user message) pairs seen."""


class Book:
    """All cases, by question."""

    def __init__(self, cases: Sequence[Case], *, shared: bool = False) -> None:
        """`shared`: several jobs ask the same question at once, so no one turn of a case is the running one."""
        self._shared = shared
        self._count = 0
        self.progress = [Progress(case, serve_turns(case)) for case in cases]
        self._by_opening = {form: one for one in self.progress for form in question_forms(one.case.question)}
        self._by_target: dict[tuple[str, str], list[tuple[Progress, int, int]]] = {}
        for one in self.progress:
            for turn, served in enumerate(one.turns):
                for at, item in enumerate(served.items):
                    self._by_target.setdefault(_target(item), []).append((one, turn, at))
        self.unexpected: list[str] = []

    def is_job(self, messages: Messages) -> bool:
        """Does this conversation open a recorded question?"""
        return len(messages) >= 2 and messages[1][0] == "user" and messages[1][1] in self._by_opening

    def next_turn(self, messages: Messages, *, continued: bool = False) -> ServedTurn:
        """The turn that follows these messages, which are checked against the recording. `continued`: the history
        holds turns without their opening `<think>`, as served."""
        one = self._by_opening[messages[1][1]]
        number = sum(1 for role, _ in messages if role == "assistant")
        for problem in self._problems(one, messages, number, continued):
            one.mismatches.append(f"before turn {number + 1}: {problem}")
        if number >= len(one.turns):
            one.mismatches.append(f"turn {number + 1} was asked for; the recording has {len(one.turns)}")
            raise Unexpected
        self._count += 1
        one.when[number] = self._count
        one.served += 1
        one.answers += number == len(one.turns) - 1
        return one.turns[number]

    def search(self, query: str) -> SearchItem:
        """What this query brought at the turn that now runs."""
        found = self._find(("search", query), f"search for {query!r}")
        assert isinstance(found, SearchItem)
        return found

    def page(self, url: str) -> PageItem:
        """What this URL brought at the turn that now runs."""
        found = self._find(("page", url_key(url)), f"page {url!r}")
        assert isinstance(found, PageItem)
        return found

    def extraction(self, key: str, prompt: str) -> PageItem:
        """The extraction of the page `key` for the goal that `prompt` holds."""
        places = [
            place
            for place in self._by_target.get(("page", key), [])
            if (item := _item(place)).goal in prompt and item.kind in ("read", "not_extracted")
        ]
        # A goal may be part of another one: the longest that is there was meant.
        longest = max((len(_item(place).goal) for place in places), default=0)
        places = [place for place in places if len(_item(place).goal) == longest]
        if not places:
            self.unexpected.append(f"extraction of {key!r} for a goal that was not recorded")
            raise Unexpected
        return _item(_latest(places))

    def report(self) -> dict[str, Any]:
        """Everything seen, JSON-able. A faithful replay has no mismatches, nothing unexpected, nothing unasked."""
        cases = {
            one.case.id: {
                "question": one.case.question,
                "turns": len(one.turns),
                "served": one.served,
                "answers": one.answers,
                "mismatches": one.mismatches[:20],
                "mismatch_count": len(one.mismatches),
                "reordered": one.reordered,
                "not_asked": list(_not_asked(one))[:20],
                "openings": len(one.openings),
            }
            for one in self.progress
        }
        return {"cases": cases, "unexpected": self.unexpected[:50], "unexpected_count": len(self.unexpected)}

    def _find(self, target: tuple[str, str], what: str) -> Item:
        places = self._by_target.get(target, [])
        if not places:
            self.unexpected.append(f"{what} was never recorded")
            raise Unexpected
        one, turn, at = _latest(places)
        if turn not in one.when:
            self.unexpected.append(f"{what} was asked for before the turn that calls it")
        elif not self._shared and one.when[turn] != max(one.when.values()):
            one.mismatches.append(f"{what} belongs to turn {turn + 1}, which is over")
        for running, number, item in places:
            if number in running.when:
                running.asked.add((number, item))
        return one.turns[turn].items[at]

    def _problems(self, one: Progress, messages: Messages, number: int, continued: bool) -> Iterator[str]:
        (system_role, system), (_, user) = messages[0], messages[1]
        if system_role != "system":
            yield "the first message is not the system's"
        if (system, user) not in one.openings:
            one.openings.add((system, user))
            if len(one.openings) > 1:
                yield "the system message or the question changed"
        if len(messages) != 2 + 2 * number:
            yield f"{len(messages)} messages around {number} turns"
        for at in range(min(number, len(one.turns), (len(messages) - 2) // 2)):
            (role, said), (reader, read) = messages[2 + 2 * at], messages[3 + 2 * at]
            served = one.turns[at]
            text = (served.continued if continued else served.whole).text
            if role != "assistant" or said != text:
                yield f"turn {at + 1} is not the text that was served: {_difference(text, said)}"
            recorded = served.turn.response or ""
            if reader != "user" or read != recorded:
                if self._recorded_elsewhere(one, at, read) or (self._shared and self._mixed(served, read)):
                    one.reordered += at == number - 1  # counted once, when it is new
                else:
                    yield f"the tool message of turn {at + 1} is not the recorded one: {_difference(recorded, read)}"

    def _recorded_elsewhere(self, one: Progress, at: int, read: str) -> bool:
        call = one.turns[at].turn.call
        return any(other.turn.call == call and other.turn.response == read for other in one.turns)

    def _mixed(self, served: ServedTurn, read: str) -> bool:
        """Each part was recorded for its target: with shared cases a provider cannot know which turn asks."""
        if served.turn.call is None:
            return False
        try:
            got = invert(served.turn.call, read)
        except ValueError:
            return False
        return all(
            any(
                _said(place[0].turns[place[1]].items[place[2]]) == _said(item)
                for place in self._by_target[_target(item)]
            )
            for item in got
        )


def _said(item: Item) -> Item:
    """An item without how its URL was spelled."""
    return replace(item, url=url_key(item.url)) if isinstance(item, PageItem) else item


def _latest(places: Sequence[tuple[Progress, int, int]]) -> tuple[Progress, int, int]:
    """The place whose turn was served last, where any was; else the first recorded."""
    return max(places, key=lambda place: place[0].when.get(place[1], -1))


def _target(item: Item) -> tuple[str, str]:
    return ("search", item.query) if isinstance(item, SearchItem) else ("page", url_key(item.url))


def _item(place: tuple[Progress, int, int]) -> PageItem:
    item = place[0].turns[place[1]].items[place[2]]
    assert isinstance(item, PageItem)
    return item


def _not_asked(one: Progress) -> Iterator[str]:
    """Calls of turns that the job went beyond, without a provider being asked."""
    for turn in range(max(one.when, default=0)):
        for at, item in enumerate(one.turns[turn].items):
            if (turn, at) not in one.asked:
                yield f"turn {turn + 1}: {item.query if isinstance(item, SearchItem) else item.url}"


def _difference(expected: str, got: str) -> str:
    at = next((i for i, (a, b) in enumerate(zip(expected, got, strict=False)) if a != b), min(len(expected), len(got)))
    return f"at {at}: {expected[max(0, at - 20) : at + 40]!r}, got {got[max(0, at - 20) : at + 40]!r}"
