"""What is asked when the context is full: to answer now, from as much of the history as fits.

Owns: the prompt of that request. It keeps the history as it was sent, but for the last result, whose place it takes;
each time the server refuses it as too long, twice as many steps more are left out. Wrapped as a tool response, since
Qwen3's template keeps earlier thoughts only while every later user message is wholly one.
Refuses to know: when the context is full (`machine`), compression (`memory`).
"""

from __future__ import annotations

from dataclasses import dataclass

from literesearcher.research import memory
from literesearcher.research.messages import Message
from literesearcher.research.opening import ANSWER_NOW, first_messages, tool_message
from literesearcher.research.state import State, estimated_tokens


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """The prompt and its tokens, estimated where nothing counted them."""

    messages: tuple[Message, ...]
    tokens: int


def compresses(state: State) -> bool:
    """The job has steps that are to become sentences rather than be answered from."""
    assert state.created is not None
    return state.created.at_context_limit == "compress" and len(state.messages) > state.opening


def can_go_on(state: State) -> bool:
    """Something can still be done after the server refused a prompt as too long."""
    return compresses(state) or answer_request(state, 0) is not None


def answer_request(state: State, budget: int) -> AnswerRequest | None:
    """The request to answer now; `budget` is the tokens that it may have where a choice is left. None where nothing
    was read that could be answered from, or nothing more can be left out."""
    request = tool_message(ANSWER_NOW, own=True)
    added = estimated_tokens(request.content)
    steps = (len(state.messages) - state.opening) // 2
    if steps == 0:
        return _from_memory(state, request, budget)
    dropped = 2**state.refusals - 1
    if dropped >= steps:
        return None
    kept = state.messages[: len(state.messages) - 1 - 2 * dropped]
    tokens = _estimated(kept) if dropped else max(0, state.prompt_tokens - state.last_message_tokens)
    return AnswerRequest((*kept, request), tokens + added)


def _from_memory(state: State, request: Message, budget: int) -> AnswerRequest | None:
    """Question and sentences fill the context: the oldest sentences give way."""
    assert state.created is not None
    kept = len(state.sentences) >> state.refusals
    if not kept:
        return None
    *before, question = first_messages(state.created)
    while True:
        notes = memory.with_memory(question, state.sentences[-kept:], state.created.tools.fidelity)
        messages = (*before, notes, request)
        tokens = _estimated(messages)
        if kept == 1 or tokens <= budget:
            return AnswerRequest(messages, tokens)
        kept = (kept + 1) // 2


def _estimated(messages: tuple[Message, ...]) -> int:
    return sum(estimated_tokens(message.content) for message in messages)
