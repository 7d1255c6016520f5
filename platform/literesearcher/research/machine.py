"""The agent as a sans-IO machine: `apply(state, event) -> state`, `decide(state) -> command`.

Owns: the order of the loop, its limits and its endings. No clock (time comes with events), no await, no network.

| the state holds | decide says |
| --- | --- |
| an outcome | End with it |
| a cancel; the deadline passed | End cancelled; End timeout |
| a call; calls spent; too dear | CallTool; End exceed_max_tool_calls; exceed_max_tool_cost |
| a reply | Respond |
| turns or tokens spent | End exceed_max_turns, exceed_max_tokens |
| a full context | Generate compress, or context_answer |
| otherwise | Generate turn |

Neighbours: `transitions` (what each event does to the state), `context_limit`, `memory`, `opening`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from literesearcher.errors import UnfoldableEvent
from literesearcher.research import context_limit, memory
from literesearcher.research.citations import cite
from literesearcher.research.commands import CallTool, Command, End, Generate, Respond
from literesearcher.research.events import STATUS_BY_STOP_REASON, Event, JobEnded, TurnKind
from literesearcher.research.messages import Message, ToolCall
from literesearcher.research.state import Outcome, State, estimated_tokens
from literesearcher.research.tool_accounts import canonical_call, micro_usd, reserve_usd
from literesearcher.research.transitions import TRANSITIONS

RESERVE_TOKENS = 1_000
LEAST_NEW_TOKENS = 512
REFUSED_NEW_TOKENS = 2_048
"""New tokens a turn: min(max_new_tokens, max(512, context - prompt - 1,000)), as published;
less after the server refused a prompt as too long."""


class Journalled(Protocol):
    """What `fold` needs of a journal row."""

    @property
    def seq(self) -> int: ...

    @property
    def at(self) -> datetime: ...

    @property
    def event(self) -> Event | None: ...


def initial() -> State:
    """Before the first event."""
    return State()


def apply(state: State, event: Event, *, seq: int, at: float) -> State:
    """The state after the event; `at` is its instant in unix seconds."""
    return TRANSITIONS[type(event)](state, event, seq, max(at, state.now))


def fold(rows: Iterable[Journalled]) -> State:
    """The state after a whole journal. `UnfoldableEvent` where a row could not be read."""
    state = initial()
    for row in rows:
        if row.event is None:
            raise UnfoldableEvent(f"event {row.seq} was written by a newer version of the program")
        state = apply(state, row.event, seq=row.seq, at=row.at.timestamp())
    return state


def decide(state: State) -> Command | None:
    """What to do next; None before `job.created` and after `job.ended`."""
    created = state.created
    if created is None or state.ended:
        return None
    if state.outcome is not None:
        return _end(state, state.outcome)
    if state.cancelled:
        return _end(state, Outcome("cancelled"))
    if state.overdue or state.now >= created.deadline_at:
        return _end(state, Outcome("timeout", state.remark))
    limits = created.limits
    if state.call is not None:
        if limits.max_tool_calls is not None and state.tool_calls >= limits.max_tool_calls:
            return _end(state, Outcome("exceed_max_tool_calls", state.remark))
        return _call(state, state.call, limits.max_tool_cost_usd)
    if state.reply is not None:
        return Respond(state.turn, *state.reply)
    if state.turn >= limits.max_turns:
        return _end(state, Outcome("exceed_max_turns", state.remark))
    if limits.max_tokens is not None and state.total_tokens >= limits.max_tokens:
        return _end(state, Outcome("exceed_max_tokens", state.remark))
    return _generate(state)


def _call(state: State, call: ToolCall, most: float | None) -> CallTool | End:
    if state.answers_repeats:
        seq = state.answered.get(canonical_call(call.name, call.arguments))
        if seq is not None:
            return CallTool(state.turn, call.name, call.arguments, repeats_seq=seq)
    reserve = reserve_usd(state.prices, call.name, call.arguments)
    if most is not None and micro_usd(state.usage.tool_cost_usd) + micro_usd(reserve) > micro_usd(most):
        return _end(state, Outcome("exceed_max_tool_cost", state.remark))
    return CallTool(state.turn, call.name, call.arguments, reserve)


def _generate(state: State) -> Generate:
    assert state.created is not None
    context = _context(state)
    compressing = bool(state.fresh_sentences)
    room = context - state.prompt_tokens - RESERVE_TOKENS
    if not compressing and not state.full and room >= LEAST_NEW_TOKENS:
        return _command(state, "turn", state.messages, room, state.prompt_tokens)
    if context_limit.compresses(state):
        step = memory.steps(state.messages, state.opening)[len(state.fresh_sentences)]
        messages = memory.request(
            state.created.input,
            step,
            characters=max(2_000, min(24_000, context // 4)),
            fidelity=state.created.tools.fidelity,
        )
        tokens = sum(estimated_tokens(message.content) for message in messages)
        return _command(state, "compress", messages, memory.STEP_TOKENS, tokens)
    request = context_limit.answer_request(state, context - RESERVE_TOKENS - LEAST_NEW_TOKENS)
    if request is None:
        # Nothing was read yet: there is nothing to answer from, the server has the last word on the length.
        return _command(state, "turn", state.messages, LEAST_NEW_TOKENS, state.prompt_tokens)
    room = context - request.tokens - RESERVE_TOKENS
    if state.full:
        # The server's context is smaller than it said, nobody knows by how much: ask for little.
        room = min(room, REFUSED_NEW_TOKENS)
    return _command(state, "context_answer", request.messages, room, request.tokens)


def _command(state: State, kind: TurnKind, messages: tuple[Message, ...], room: int, prompt_tokens: int) -> Generate:
    assert state.created is not None
    limits = state.created.limits
    same_prefix = state.prefix_of(kind) == state.prefix
    new_tokens = min(limits.max_new_tokens, max(LEAST_NEW_TOKENS, room))
    if limits.max_tokens is not None:
        new_tokens = max(1, min(new_tokens, limits.max_tokens - state.total_tokens))
    return Generate(
        turn=state.turn + 1,
        kind=kind,
        messages=messages,
        sampling=state.created.sampling,
        max_tokens=new_tokens,
        prefix_epoch=state.prefix_epoch + (not same_prefix),
        prompt_tokens=prompt_tokens,
        last_replica=state.replica,
        kept_tokens=state.kept_tokens if same_prefix else 0,
    )


def _context(state: State) -> int:
    assert state.created is not None
    own = state.created.limits.context_length
    known = [length for length in (own, state.context_length or None) if length is not None]
    return min(known) if known else 131_072


def _end(state: State, outcome: Outcome) -> End:
    assert state.created is not None
    answered = STATUS_BY_STOP_REASON[outcome.stop_reason] == "completed"
    citations = cite(state.sources, outcome.text, state.created.input) if answered and outcome.text else []
    return End(
        JobEnded(
            stop_reason=outcome.stop_reason,
            status=STATUS_BY_STOP_REASON[outcome.stop_reason],
            output_text=outcome.text,
            citations=citations,
            usage=state.usage,
            error_code=outcome.error_code,
            error_message=outcome.error_message,
        )
    )
