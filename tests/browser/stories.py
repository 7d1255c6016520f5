"""Jobs as their journals tell them, written by hand, for pages that show them."""

from __future__ import annotations

from typing import Any

from literesearcher.research import events as ev
from literesearcher.research.messages import Sampling, Usage
from literesearcher.testing.journal_events import attempt, turn_started
from literesearcher.testing.served_gateway import Served


def wrote(
    turn: int, text: str, *, prompt: int = 4000, cached: int | None = None, generated: int = 150
) -> ev.TurnCompleted:
    """A turn's text with its tokens."""
    return ev.TurnCompleted(
        turn=turn,
        kind="turn",
        text=text,
        finish_reason="stop",
        usage=Usage(prompt, generated, cached),
        prefix_epoch=0,
        model="m",
        sampling=Sampling(),
    )


def looked(turn: int, name: str, text: str, items: list[ev.ToolItem], cost: float = 0.0) -> list[ev.Event]:
    """A call and its result."""
    key = "query" if name == "search" else "url"
    arguments: dict[str, Any] = {key: [item.target for item in items]}
    return [
        ev.ToolStarted(turn=turn, name=name, arguments=arguments),
        ev.ToolCompleted(turn=turn, name=name, arguments=arguments, text=text, items=items, cost_usd=cost),
    ]


def searched(turn: int, query: str, title: str, url: str, text: str = "found") -> list[ev.Event]:
    """A search that found one page, fetched from its provider."""
    results = [{"title": title, "url": url}]
    item = ev.ToolItem("search", query, ok=True, provider="serper", results=results, cache="miss", elapsed_seconds=0.8)
    return looked(turn, "search", text, [item], cost=0.001)


def read(turn: int, url: str, title: str, *, cache: str = "hit", text: str = "page") -> list[ev.Event]:
    """A page that was read."""
    item = ev.ToolItem("page", url, ok=True, provider="direct", title=title, cache=cache, elapsed_seconds=1.2)
    return looked(turn, "visit", text, [item])


def answered(text: str, *citations: ev.Citation, turns: int = 3) -> ev.JobEnded:
    """An end with an answer."""
    usage = ev.JobUsage(
        turns=turns, tool_calls=turns - 1, prompt_tokens=12_000, completion_tokens=450, cached_tokens=8000
    )
    return ev.JobEnded("answer", "completed", text, list(citations), usage)


async def short_job(served: Served, question: str = "Which animal sleeps longest?", **options: Any) -> str:
    """A job that searched, read a page and answered."""
    job_id = await served.create(question, **options)
    url = "https://example.org/koala"
    await served.append(
        job_id,
        attempt("openai"),
        turn_started(1),
        wrote(1, "<think>\nI should look for sleep.\n</think>\n<tool_call>\n{}\n</tool_call>"),
        *searched(1, "animal sleep hours", "Koalas", url),
        turn_started(2),
        wrote(2, "<think>\nThis page looks right.\n</think>\n<tool_call>\n{}\n</tool_call>", cached=3900),
        *read(2, url, "Koalas at rest"),
        turn_started(3),
        wrote(3, "<think>\nDone.\n</think>\n<answer>The koala, 22 hours (https://example.org/koala).</answer>"),
    )
    journal = await served.store.read(job_id)
    page = next(row.seq for row in journal if row.type == "tool.completed" and row.payload["name"] == "visit")
    await served.append(
        job_id,
        answered(
            "The koala: 22 hours a day, see https://example.org/koala.",
            ev.Citation(url, "Koalas at rest", "Koalas sleep up to 22 hours a day.", page),
        ),
    )
    return job_id


async def long_job(served: Served, turns: int = 86, megabytes: int = 10) -> str:
    """A job of many turns whose tools gave megabytes of text."""
    job_id = await served.create("What is in every page?")
    await served.append(job_id, attempt("openai"))
    text = "words of a page " * (megabytes * 65_536 // turns)
    for turn in range(1, turns):
        thought = f"<think>\nThought {turn}. {'More of it. ' * 200}\n</think>\n<tool_call>\n{{}}\n</tool_call>"
        await served.append(
            job_id,
            turn_started(turn),
            wrote(turn, thought, prompt=1000 * turn, cached=900 * turn),
            *read(turn, f"https://example.org/{turn}", f"Page {turn}", cache="miss", text=text),
        )
    await served.append(
        job_id, turn_started(turns), wrote(turns, "<answer>Words.</answer>"), answered("Words.", turns=turns)
    )
    return job_id
