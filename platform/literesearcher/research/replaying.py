"""A journal gone through again: does the machine, as it is, decide what the journal says was done?

Owns: what each event must agree with, and what is said where it does not. An intent, a reply and an end are what
`decide` says before them; a result answers the open intent; cancels, deadlines, budgets and failures come from outside
and are taken as they are. Refuses to know: stores, files, how a tool's text is made of its parts (handed in).
Above: `literesearcher jobs replay`. Below: `machine`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from literesearcher.errors import UnfoldableEvent
from literesearcher.research import events as ev
from literesearcher.research import machine
from literesearcher.research.commands import CallTool, Command, End, Generate, Respond
from literesearcher.research.state import State
from literesearcher.research.tool_accounts import micro_usd, sum_usd

Rejoin = Callable[[ev.ToolCompleted, ev.JobCreated], str | None]
"""The text of a tool call made again of its recorded items; None where they do not say."""
COUNTS = ("turns", "tool_calls", "unknown_effects")
"""What every version counts alike in a job's usage."""


class Row(machine.Journalled, Protocol):
    """A journal row with its payload as it was written."""

    @property
    def payload(self) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Divergence:
    """One event that is not what the replay gave. `recorded` and `replayed` are texts to compare line by line."""

    seq: int
    type: str
    what: str
    recorded: str
    replayed: str


@dataclass(slots=True)
class Replay:
    """What became of it. After an event that cannot follow at all the rest is not gone through: `last_seq` is it."""

    divergences: list[Divergence] = field(default_factory=list)
    last_seq: int = 0
    turns: int = 0
    tool_calls: int = 0
    ended: bool = False


def replay(rows: Iterable[Row], rejoin: Rejoin = lambda event, created: None) -> Replay:
    """Go through a journal from its first event. `UnfoldableEvent` where a row could not be read."""
    run = _Run(rejoin)
    for row in rows:
        if row.event is None:
            raise UnfoldableEvent(f"event {row.seq} was written by a newer version of the program")
        if not run.take(row, row.event):
            break
    result = run.result
    usage = run.state.usage
    result.turns, result.tool_calls, result.ended = usage.turns, usage.tool_calls, run.state.ended
    return result


class _CannotFollow(Exception):
    """The event has no place here: (what, recorded, replayed)."""


@dataclass(slots=True)
class _Run:
    rejoin: Rejoin
    state: State = field(default_factory=machine.initial)
    texts: dict[int, str] = field(default_factory=dict)
    result: Replay = field(default_factory=Replay)

    def take(self, row: Row, event: ev.Event) -> bool:
        """False where nothing after it can be gone through."""
        try:
            self._place(row, event)
            self._check(row, event)
            self.state = machine.apply(self.state, event, seq=row.seq, at=row.at.timestamp())
        except _CannotFollow as found:
            what, recorded, replayed = found.args
            self._differs(row, event, what, recorded, replayed)
        except (AssertionError, AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            self._differs(row, event, f"it cannot be applied ({type(error).__name__}: {error})", _shown(event), "")
        else:
            self.result.last_seq = row.seq
            return True
        self.result.last_seq = row.seq
        return False

    def _differs(self, row: Row, event: ev.Event, what: str, recorded: str, replayed: str) -> None:
        # A damaged journal may hold anything in place of a text.
        self.result.divergences.append(Divergence(row.seq, event.type, what, str(recorded), str(replayed)))

    def _place(self, row: Row, event: ev.Event) -> None:
        follows = self.result.last_seq + 1
        if row.seq != follows:
            raise _CannotFollow("events are missing or out of order", f"event {row.seq}", f"event {follows}")
        if isinstance(event, ev.JobCreated) is not (self.state.created is None):
            raise _CannotFollow("job.created is the first event and comes once", event.type, self._next())
        if self.state.ended:
            raise _CannotFollow("the job has ended before it", event.type, "nothing")

    def _next(self) -> str:
        command = machine.decide(self.state)
        return "job.created" if self.state.created is None else _wanted(command, self.texts)[0]

    def _check(self, row: Row, event: ev.Event) -> None:
        match event:
            case ev.TurnStarted() | ev.ToolStarted() | ev.JobEnded():
                self._no_open_intent(event)
                self._decided(row, event)
            case ev.TurnCompleted():
                self._answers_intent(row, event, ev.TurnStarted, ("turn", "kind", "prefix_epoch"))
                assert self.state.created is not None
                self._compare(row, event, {"sampling": self.state.created.sampling}, "it was sampled otherwise")
            case ev.ToolCompleted() if event.called and event.repeats_seq is None:
                self._answers_intent(row, event, ev.ToolStarted, ("turn", "name", "arguments", "reserved_usd"))
                self._texts(row, event)
            case ev.ToolCompleted():
                self._no_open_intent(event)
                self._decided(row, event)
            case ev.EffectUnknown():
                pending = self.state.pending_intent
                found = None if pending is None else (pending[0], pending[1].type, pending[1].turn)
                if found != (event.intent_seq, event.intent_type, event.turn):
                    raise _CannotFollow("it names no open intent", _shown(event), f"open intent: {found}")
            case ev.BudgetReached():
                self._no_open_intent(event)
                if not isinstance(machine.decide(self.state), CallTool):
                    raise _CannotFollow("no tool call was wanted that a budget could stop", event.type, self._next())
            case _:
                pass
        if isinstance(event, ev.ToolCompleted):
            self.texts[row.seq] = event.text
            self._cost(row, event)

    def _no_open_intent(self, event: ev.Event) -> None:
        pending = self.state.pending_intent
        if pending is not None:
            raise _CannotFollow(
                f"the intent of event {pending[0]} has no result yet", event.type, f"a result of {pending[1].type}"
            )

    def _answers_intent(self, row: Row, event: ev.Event, kind: type[Any], names: tuple[str, ...]) -> None:
        pending = self.state.pending_intent
        if pending is None or not isinstance(pending[1], kind):
            raise _CannotFollow("it answers no open intent", event.type, self._next())
        wanted = {name: getattr(pending[1], name) for name in names}
        self._compare(row, event, wanted, f"it is not what the intent of event {pending[0]} asked for")

    def _decided(self, row: Row, event: ev.Event) -> None:
        kind, wanted = _wanted(machine.decide(self.state), self.texts)
        if kind != event.type:
            raise _CannotFollow("the machine decides otherwise", _shown(event), f"{kind}\n{_json(wanted)}")
        if isinstance(event, ev.JobEnded):
            wanted = _of_end(event, row.payload, wanted)
        if isinstance(event, ev.ToolCompleted) and wanted.get("text") != event.text and "text" in wanted:
            self._differs(row, event, "the text is not what the machine says", event.text, wanted["text"])
            wanted = {name: value for name, value in wanted.items() if name != "text"}
        self._compare(row, event, wanted, "the machine decides otherwise")
        if isinstance(event, ev.TurnStarted) and event.kind != wanted["kind"]:
            raise _CannotFollow("what it answers is another kind of call", event.kind, wanted["kind"])

    def _texts(self, row: Row, event: ev.ToolCompleted) -> None:
        assert self.state.created is not None
        again = self.rejoin(event, self.state.created)
        if again is not None and again != event.text:
            self._differs(row, event, "the text does not follow from the call's parts", event.text, again)

    def _cost(self, row: Row, event: ev.ToolCompleted) -> None:
        parts = sum(item.cost_usd for item in event.items)
        # Beside its items a call may have cost its reserve, once for each answer that was lost on its way.
        over, reserve = micro_usd(event.cost_usd) - micro_usd(parts), micro_usd(event.reserved_usd)
        if over and not (over > 0 and reserve and over % reserve == 0) and "cost_usd" in row.payload:
            what = "the cost is not the sum of the call's parts"
            self._differs(row, event, what, f"cost_usd: {event.cost_usd}", f"cost_usd: {sum_usd(parts)}")

    def _compare(self, row: Row, event: ev.Event, wanted: dict[str, Any], what: str) -> None:
        # As JSON, as the journal compares: a NaN that a model wrote is null there.
        recorded, replayed = _json({name: getattr(event, name) for name in wanted}), _json(wanted)
        if recorded != replayed:
            self._differs(row, event, what, recorded, replayed)


def _wanted(command: Command | None, texts: dict[int, str]) -> tuple[str, dict[str, Any]]:
    """The event that carrying out the command appends first, and those of its fields that the command decides."""
    match command:
        case Generate():
            names = ("turn", "kind", "prefix_epoch", "max_tokens", "prompt_tokens")
            return ev.TurnStarted.type, {name: getattr(command, name) for name in names}
        case CallTool():
            wanted = {"turn": command.turn, "name": command.name, "arguments": command.arguments}
            if command.repeats_seq is None:
                return ev.ToolStarted.type, wanted | {"reserved_usd": command.reserve_usd}
            again = {"repeats_seq": command.repeats_seq, "text": texts.get(command.repeats_seq, "")}
            return ev.ToolCompleted.type, wanted | again | {"reserved_usd": 0.0}
        case Respond():
            said = {"turn": command.turn, "name": command.name, "arguments": {}, "text": command.text}
            return ev.ToolCompleted.type, said | {"called": False, "repeats_seq": None, "reserved_usd": 0.0}
        case End():
            end = command.event
            return ev.JobEnded.type, {one.name: getattr(end, one.name) for one in dataclasses.fields(end)}
        case None:
            return "nothing", {}


def _of_end(event: ev.JobEnded, payload: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """What of an end the machine decides, by what its writer knew."""
    if event.stop_reason == wanted["stop_reason"] == "internal_error":
        # The platform ended it beside the machine, perhaps without the events that it could not write.
        return {"stop_reason": wanted["stop_reason"], "status": wanted["status"]}
    if sorted(event.citations, key=_place_of) == sorted(wanted["citations"], key=_place_of):
        # In which order they are shown is no decision, and has not always been the same.
        wanted = wanted | {"citations": event.citations}
    usage: ev.JobUsage = wanted["usage"]
    written = payload.get("usage")
    every = {one.name for one in dataclasses.fields(usage)}
    if isinstance(written, dict) and not every <= written.keys():
        # An older writer counted tokens and money in its own way.
        counts = {name: getattr(usage, name) for name in COUNTS}
        return wanted | {"usage": dataclasses.replace(event.usage, **counts)}
    return wanted


def _place_of(citation: ev.Citation) -> tuple[int, str]:
    return citation.seq, citation.url


def _shown(event: ev.Event) -> str:
    return f"{event.type}\n{_json({one.name: getattr(event, one.name) for one in dataclasses.fields(event)})}"


def _json(value: dict[str, Any]) -> str:
    """A field a line, so that a comparison by lines names the field."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS).decode()
