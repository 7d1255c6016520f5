"""What a journal event says to a person: a few plain lines, safe for a terminal.

Owns: the words. Refuses to know: terminals, stores. `cli.progress` shows the lines, `jobs events` prints them.
"""

from __future__ import annotations

from literesearcher.cli.terminal_text import one_line, printable
from literesearcher.jobs.model import Envelope, Job
from literesearcher.research import events as ev
from literesearcher.research.parsing import parse_turn

NO_LANGUAGE_MODEL = "no language model wrote this: the extractive engine quotes the passage that scores best"
THOUGHT_WIDTH = 160
TARGET_WIDTH = 110

_ENDINGS: dict[str, str] = {
    "answer": "answered",
    "answer_at_context_limit": "answered when the context was full",
    "context_limit_no_format": "the context was full, and what the model then wrote held no answer",
    "exceed_max_turns": "the turns ran out before an answer",
    "exceed_max_tool_calls": "the tool calls ran out before an answer",
    "exceed_max_tool_cost": "the money for tool calls ran out before an answer",
    "budget_spent": "the day's budget for tool calls is spent",
    "exceed_max_tokens": "the tokens ran out before an answer",
    "timeout": "the time ran out before an answer",
    "no_evidence": "nothing that was found answers the question",
    "server_error": "the model server failed",
    "length_limit_exceeded": "the model server refused the prompt as too long",
    "internal_error": "the platform itself failed",
    "cancelled": "stopped on request",
}


_SERVER = "`literesearcher doctor` asks it."
_HINTS: dict[str, str] = {
    "engine_unreachable": f"Is the model server up, and is LITERESEARCHER_ENGINE__BASE_URL its address? {_SERVER}",
    "engine_timeout": f"The model server takes connections and does not answer. {_SERVER}",
    "engine_unauthorized": "Is LITERESEARCHER_ENGINE__API_KEY the server's key?",
    "tools_unreachable": "Is `literesearcher tools serve` up, and is LITERESEARCHER_TOOLS__URL its address? Without "
    "that setting the tools run inside this process.",
    "tools_unauthorized": "Is LITERESEARCHER_TOOLS__TOKEN the tool proxy's token?",
    "journal_damaged": "`literesearcher jobs delete ID` removes the job. Ask its question again; if more jobs say so, "
    "put a backup of the store in its place.",
}
"""What to do about an error, by its code."""


def hint(code: str) -> str:
    """What to do about an error of this code, "" where there is nothing to say."""
    return _HINTS.get(code, "")


def tell(envelope: Envelope) -> list[str]:
    """Lines for one event; [] for those that say nothing to a person."""
    event = envelope.event
    match event:
        case ev.AttemptStarted():
            again = f" (attempt {envelope.attempt})" if envelope.attempt > 1 else ""
            lines = [f"engine {event.engine}: {one_line(event.model, 60)}{again}"]
            return lines + ([NO_LANGUAGE_MODEL] if event.engine == "extractive" else [])
        case ev.TurnStarted(kind="compress"):
            return [f"turn {event.turn}: the context is full; compressing what was read"]
        case ev.TurnStarted(kind="context_answer"):
            return [f"turn {event.turn}: the context is full; asking for the answer now"]
        case ev.TurnCompleted(kind="turn"):
            thought = parse_turn(event.text, opened_thought=event.opened_thought).thought
            return [f"turn {event.turn}: {one_line(thought, THOUGHT_WIDTH)}"] if thought else [f"turn {event.turn}"]
        case ev.ToolStarted():
            return _targets(event)
        case ev.ToolCompleted():
            return _results(event)
        case ev.EffectUnknown():
            return [f"turn {event.turn}: interrupted before its result was saved; done again"]
        case ev.EffectFailed():
            when = f"turn {event.turn}: failed for good" if event.turn else "the job could not begin"
            return [f"{when}: {one_line(event.message, 200)} ({event.code})"]
        case ev.BudgetReached():
            return [f"turn {event.turn}: {one_line(event.message, 200)}"]
        case ev.CancelRequested():
            return ["cancel requested"]
        case ev.DeadlineReached():
            return ["the job's time is over"]
        case _:
            return []


def _targets(event: ev.ToolStarted) -> list[str]:
    value = event.arguments.get("query" if event.name == "search" else "url")
    targets = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    goal = event.arguments.get("goal")
    suffix = f"  for: {one_line(goal, 80)}" if isinstance(goal, str) and event.name == "visit" else ""
    return [f"  {one_line(event.name, 20)}  {one_line(str(target), TARGET_WIDTH)}{suffix}" for target in targets]


def _results(event: ev.ToolCompleted) -> list[str]:
    if not event.called:
        return [f"  told the model: {one_line(event.text, TARGET_WIDTH)}"]
    if event.repeats_seq is not None:
        return [f"  {one_line(event.name, 20)}  asked before: the same text as in event {event.repeats_seq}"]
    lines = []
    for item in event.items:
        if item.kind == "search":
            found = f"{len(item.results or [])} results" if item.ok else item.status or "failed"
        else:
            found = (one_line(item.title or "", 60) or "read") if item.ok else item.status or "failed"
        by = f", {item.provider}" if item.provider else ""
        kept = ", cached" if item.cache == "hit" else ""
        lines.append(f"    {one_line(item.target, 60)} -> {found} ({item.elapsed_seconds:.1f} s{by}{kept})")
    return lines


ANSWER, BEST, SOURCES = "Answer", "Best so far, no answer", "Sources"
HEADINGS = frozenset({ANSWER, BEST, SOURCES})
"""Lines of `conclude` that a terminal shows in bold."""


def conclude(job: Job, *, language_model: bool) -> list[str]:
    """The answer, its sources, and how the job ended."""
    lines: list[str] = []
    if job.output_text is not None:
        lines += [ANSWER if job.status == "completed" else BEST, "", printable(job.output_text)]
        if not language_model:
            lines += ["", f"({NO_LANGUAGE_MODEL})"]
        if job.citations:
            lines += ["", SOURCES]
            for number, cited in enumerate(job.citations, 1):
                title = one_line(cited.title, 80)
                lines.append(f"  {number}. {one_line(cited.url, 200)}" + (f"  {title}" if title else ""))
                if cited.quote:
                    lines.append(f"     {one_line(cited.quote, 200)}")
        lines.append("")
    reason = _ENDINGS.get(job.stop_reason or "", job.stop_reason or job.status)
    if job.stop_reason == "server_error" and (job.error_code or "").startswith("tools_"):
        reason = "the tool proxy failed"
    lines.append(f"{job.status.capitalize()}: {reason} ({job.stop_reason or 'not ended'}). {_cost(job)}")
    if job.error_code is not None:
        lines.append(f"  {one_line(job.error_message or '', 400)} ({job.error_code})")
        hint = _HINTS.get(job.error_code)
        if hint is not None:
            lines.append(f"  {hint}")
    return lines


def _cost(job: Job) -> str:
    usage = job.usage
    parts = [plural(usage.turns, "turn"), plural(usage.tool_calls, "tool call")]
    if usage.tool_cost_usd:
        parts.append(f"{usage.tool_cost_usd:g} USD for tools")
    tokens = usage.prompt_tokens + usage.completion_tokens
    if tokens:
        estimated = "about " if usage.estimated_turns else ""
        parts.append(f"{estimated}{tokens:,} tokens ({usage.completion_tokens:,} generated)")
    if usage.extraction_tokens:
        parts.append(f"{usage.extraction_tokens:,} for page extraction")
    if usage.unknown_effects:
        parts.append(f"{plural(usage.unknown_effects, 'effect')} of unknown cost")
    if job.ended_at is not None:
        parts.append(duration((job.ended_at - job.created_at).total_seconds()))
    return ", ".join(parts) + "."


def plural(count: int, noun: str) -> str:
    """`1 turn`, `2 turns`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def duration(seconds: float) -> str:
    """`0.4 s`, `72 s`, `12 min 5 s`, `3 h 2 min`."""
    if seconds < 10:
        return f"{max(0.0, seconds):.1f} s"
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
