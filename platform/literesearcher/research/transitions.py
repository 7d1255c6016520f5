"""What each event does to the state: one entry an event type, no other way to change it.

Owns: the table. Refuses to know: what is decided next (`machine`). Each entry is O(1) in the length of the history
but for the tuple of messages, which is copied by reference.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from literesearcher.research import context_limit, memory
from literesearcher.research import opening as op
from literesearcher.research.events import (
    AttemptStarted,
    BudgetReached,
    CancelRequested,
    DeadlineReached,
    EffectFailed,
    EffectUnknown,
    JobCreated,
    JobEnded,
    StopReason,
    ToolCompleted,
    ToolStarted,
    TurnCompleted,
    TurnStarted,
)
from literesearcher.research.messages import Message, Usage
from literesearcher.research.parsing import ParsedTurn, parse_turn
from literesearcher.research.state import Outcome, Source, State, estimated_tokens
from literesearcher.research.tool_accounts import canonical_call, sum_usd

TOOLS = ("search", "visit")
EVIDENCE_CHARACTERS = 4_000


def _created(state: State, event: JobCreated, seq: int, at: float) -> State:
    messages = op.first_messages(event)
    tokens = sum(estimated_tokens(message.content) for message in messages)
    return replace(
        state,
        created=event,
        messages=messages,
        opening=len(messages),
        prompt_tokens=tokens,
        total_tokens=tokens,
        now=at,
    )


def _attempt(state: State, event: AttemptStarted, seq: int, at: float) -> State:
    return replace(
        state,
        context_length=event.context_length,
        prices=event.prices,
        answers_repeats=event.repeats == "journal",
        now=at,
    )


def _turn_started(state: State, event: TurnStarted, seq: int, at: float) -> State:
    return replace(
        state,
        pending_intent=(seq, event),
        prefix=state.prefix_of(event.kind),
        prefix_epoch=event.prefix_epoch,
        now=at,
    )


def _turn_completed(state: State, event: TurnCompleted, seq: int, at: float) -> State:
    told = event.usage.prompt_tokens > 0 or event.usage.completion_tokens > 0
    used = event.usage if told else _estimate(state, event)
    usage = replace(
        state.usage,
        turns=state.usage.turns + (event.kind != "compress"),
        prompt_tokens=state.usage.prompt_tokens + used.prompt_tokens,
        completion_tokens=state.usage.completion_tokens + used.completion_tokens,
        cached_tokens=state.usage.cached_tokens + (used.cached_tokens or 0),
        estimated_turns=state.usage.estimated_turns + (not told),
    )
    generated = used.completion_tokens or estimated_tokens(event.text)
    state = replace(
        state,
        usage=usage,
        pending_intent=None,
        now=at,
        total_tokens=state.total_tokens + generated,
        replica=event.replica,
        kept_tokens=(used.prompt_tokens or state.prompt_tokens) + generated,
    )
    parsed = parse_turn(event.text, opened_thought=event.opened_thought, cut_off=event.finish_reason == "length")
    if event.kind == "compress":
        # What was cut off before any tag of a thought was most likely a thought.
        thought_only = event.finish_reason == "length" and "</think>" not in event.text
        return _compressed(state, ParsedTurn("") if thought_only else parsed)
    if event.finish_reason == "no_evidence":
        return replace(state, turn=event.turn, outcome=Outcome("no_evidence"))
    if event.kind == "context_answer":
        if parsed.answer:
            return replace(state, turn=event.turn, outcome=Outcome("answer_at_context_limit", parsed.answer))
        best = parsed.remark or state.remark
        return replace(state, turn=event.turn, outcome=Outcome("context_limit_no_format", best))
    if parsed.answer:
        return replace(state, turn=event.turn, outcome=Outcome("answer", parsed.answer))
    prompt = used.prompt_tokens or state.prompt_tokens
    return _acted(
        replace(
            state,
            turn=event.turn,
            messages=(*state.messages, Message("assistant", event.text, event.opened_thought, event.token_ids)),
            prompt_tokens=prompt + generated,
            total_tokens=max(state.total_tokens, prompt + generated) if not state.memories else state.total_tokens,
            last_message_tokens=0,
            remark=parsed.remark or state.remark,
        ),
        parsed,
    )


def _estimate(state: State, event: TurnCompleted) -> Usage:
    """What a call cost whose server does not say."""
    intent = state.pending_intent[1] if state.pending_intent is not None else None
    prompt = intent.prompt_tokens if isinstance(intent, TurnStarted) else None
    return Usage(state.prompt_tokens if prompt is None else prompt, estimated_tokens(event.text))


def _acted(state: State, parsed: ParsedTurn) -> State:
    if parsed.call is not None and parsed.call.name in TOOLS:
        return replace(state, call=parsed.call)
    if parsed.call is not None:
        return replace(state, reply=(parsed.call.name, op.unknown_tool(parsed.call.name)))
    assert state.created is not None
    if state.created.profile == "training":
        # Training ended such a rollout; of the published endings this is the one that says "no usable form".
        return replace(state, outcome=Outcome("context_limit_no_format", state.remark))
    return replace(state, reply=("", op.INVALID_CALL if parsed.broken_call else op.NO_ACTION))


def _compressed(state: State, written: ParsedTurn) -> State:
    """One more step has become a sentence; after the last of them the job goes on with question and sentences."""
    assert state.created is not None
    steps = memory.steps(state.messages, state.opening)
    fresh = (*state.fresh_sentences, memory.sentence(written, steps[len(state.fresh_sentences)]))
    if len(fresh) < len(steps):
        return replace(state, fresh_sentences=fresh)
    sentences = (*state.sentences, *fresh)
    *before, question = op.first_messages(state.created)
    messages = (*before, memory.with_memory(question, sentences, state.created.tools.fidelity))
    return replace(
        state,
        messages=messages,
        opening=len(messages),
        sentences=sentences,
        fresh_sentences=(),
        memories=state.memories + 1,
        full=False,
        refusals=0,
        prompt_tokens=sum(estimated_tokens(message.content) for message in messages),
        last_message_tokens=0,
    )


def _tool_started(state: State, event: ToolStarted, seq: int, at: float) -> State:
    # Counted from here on, so that no ending of the call, a crash included, hides what it may have cost.
    cost = sum_usd(state.usage.tool_cost_usd, event.reserved_usd)
    return replace(state, pending_intent=(seq, event), usage=replace(state.usage, tool_cost_usd=cost), now=at)


def _tool_completed(state: State, event: ToolCompleted, seq: int, at: float) -> State:
    assert state.created is not None
    message = op.tool_message(event.text, state.created.tools.fidelity, own=op.is_own(event))
    tokens = event.tokens + 5 if event.tokens is not None else estimated_tokens(message.content)
    titles = {hit["url"]: hit["title"] for item in event.items for hit in item.results or [] if hit.get("title")}
    extracted = sum(
        item.usage.prompt_tokens + item.usage.completion_tokens for item in event.items if item.usage is not None
    )
    state = replace(
        state,
        call=None,
        reply=None,
        pending_intent=None,
        messages=(*state.messages, message),
        prompt_tokens=state.prompt_tokens + tokens,
        total_tokens=state.total_tokens + tokens,
        last_message_tokens=tokens,
        tool_calls=state.tool_calls + event.called,
        titles=(*state.titles, titles) if titles else state.titles,
        usage=replace(
            state.usage,
            tool_calls=state.usage.tool_calls + event.called,
            extraction_tokens=state.usage.extraction_tokens + extracted,
            tool_cost_usd=sum_usd(state.usage.tool_cost_usd, event.cost_usd, -event.reserved_usd),
        ),
        now=at,
    )
    if event.items and all(item.ok for item in event.items):
        state = replace(state, answered=state.answered | {canonical_call(event.name, event.arguments): seq})
    read = [item for item in event.items if item.kind == "page" and item.ok]
    sources = tuple(
        Source(
            url=item.target,
            title=item.title or _title(state, item.target),
            evidence=((item.extracted or {}).get("evidence") or item.text)[:EVIDENCE_CHARACTERS],
            seq=seq,
        )
        for item in read
    )
    if not read:
        return state
    pages = dict(state.pages_read)
    for item in read:
        if item.domain is not None:
            pages[item.domain] = pages.get(item.domain, 0) + 1
    return replace(state, sources=(*state.sources, *sources), pages_read=pages)


def _title(state: State, url: str) -> str:
    return next((titles[url] for titles in reversed(state.titles) if url in titles), url)


def _unknown(state: State, event: EffectUnknown, seq: int, at: float) -> State:
    usage = replace(state.usage, unknown_effects=state.usage.unknown_effects + 1)
    return replace(state, usage=usage, pending_intent=None, now=at)


def _failed(state: State, event: EffectFailed, seq: int, at: float) -> State:
    pending = state.pending_intent[1] if state.pending_intent is not None else None
    kind = pending.kind if isinstance(pending, TurnStarted) else None
    state = replace(state, pending_intent=None, now=at)
    if event.code == "prompt_too_long":
        if kind == "compress":
            return _compressed(state, ParsedTurn(""))
        shorter = replace(state, full=True, refusals=state.refusals + (kind == "context_answer"))
        if kind is not None and context_limit.can_go_on(shorter):
            return shorter
        return replace(state, outcome=Outcome("length_limit_exceeded", state.remark, event.code, event.message))
    reason: StopReason = "internal_error" if event.code == "internal_error" else "server_error"
    return replace(state, outcome=Outcome(reason, state.remark, event.code, event.message))


def _cancel(state: State, event: CancelRequested, seq: int, at: float) -> State:
    return replace(state, cancelled=True, pending_intent=None, now=at)


def _deadline(state: State, event: DeadlineReached, seq: int, at: float) -> State:
    return replace(state, overdue=True, pending_intent=None, now=at)


def _budget(state: State, event: BudgetReached, seq: int, at: float) -> State:
    return replace(state, outcome=Outcome("budget_spent", state.remark), pending_intent=None, now=at)


def _ended(state: State, event: JobEnded, seq: int, at: float) -> State:
    return replace(state, ended=True, pending_intent=None, now=at)


TRANSITIONS: dict[type[Any], Callable[[State, Any, int, float], State]] = {
    JobCreated: _created,
    AttemptStarted: _attempt,
    TurnStarted: _turn_started,
    TurnCompleted: _turn_completed,
    ToolStarted: _tool_started,
    ToolCompleted: _tool_completed,
    EffectUnknown: _unknown,
    EffectFailed: _failed,
    CancelRequested: _cancel,
    DeadlineReached: _deadline,
    BudgetReached: _budget,
    JobEnded: _ended,
}
