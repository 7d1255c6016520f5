"""Journal events with everything filled in, for tests that write a job's story by hand."""

from __future__ import annotations

from literesearcher.research import events as ev
from literesearcher.research.messages import Sampling, Usage


def attempt(engine: str = "extractive") -> ev.AttemptStarted:
    """A worker took the job."""
    return ev.AttemptStarted(worker="w", engine=engine, model=engine, context_length=131072)


def turn_started(turn: int, kind: ev.TurnKind = "turn") -> ev.TurnStarted:
    """The intent of a model call."""
    return ev.TurnStarted(turn=turn, kind=kind, prefix_epoch=0, max_tokens=100)


def turn_completed(turn: int, text: str, kind: ev.TurnKind = "turn") -> ev.TurnCompleted:
    """What the model wrote."""
    return ev.TurnCompleted(
        turn=turn,
        kind=kind,
        text=text,
        finish_reason="stop",
        usage=Usage(10, 5),
        prefix_epoch=0,
        model="m",
        sampling=Sampling(),
    )


def tool_started(turn: int) -> ev.ToolStarted:
    """The intent of a search."""
    return ev.ToolStarted(turn=turn, name="search", arguments={"query": ["q"]})


def tool_completed(turn: int, text: str = "result") -> ev.ToolCompleted:
    """What the search gave."""
    return ev.ToolCompleted(turn=turn, name="search", arguments={"query": ["q"]}, text=text)


def ended(answer: str = "heapq.merge") -> ev.JobEnded:
    """An answered end, with one citation."""
    citation = ev.Citation(url="pydoc:heapq.merge", title="heapq.merge", quote="Merge", seq=4)
    return ev.JobEnded(
        stop_reason="answer",
        status="completed",
        output_text=answer,
        citations=[citation],
        usage=ev.JobUsage(turns=1),
    )
