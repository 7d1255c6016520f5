"""Where each part of a tool call came from, in a few lines for a person: `tools search` and `tools visit` say it on
stderr, so that stdout holds what the model reads and nothing else.

Owns: the words. Refuses to know: how a call is made, terminals.
"""

from __future__ import annotations

from collections.abc import Iterator

from literesearcher.cli.narration import duration
from literesearcher.cli.terminal_text import one_line
from literesearcher.research.tool_items import ToolItem, ToolTry
from literesearcher.tools.port import ToolResult

_TARGET_WIDTH = 90


def report(result: ToolResult, *, now: float) -> Iterator[str]:
    """A line an item, one more for each request to a provider, and the sum. `now`: unix seconds."""
    for item in result.items:
        yield _item(item, now)
        for tried in item.tried:
            yield f"    {_try(tried)}"
        for reason, count in sorted(item.left_out.items()):
            yield f"    left out, {one_line(reason)}: {count}"
    if result.items:
        yield f"all in {_seconds(result.elapsed_seconds)}, {_usd(result.cost_usd)}"


def _item(item: ToolItem, now: float) -> str:
    told = [item.status or ("found" if item.ok else "failed")]
    if item.results is not None and item.ok:
        told[0] += f" ({len(item.results)})"
    if item.provider is not None:
        told.append(item.provider)
    if item.cache is not None:
        told.append(f"cache {item.cache}")
    if item.cache in ("hit", "stale") and item.fetched_at is not None:
        told.append(f"fetched {duration(max(0.0, now - item.fetched_at))} ago")
    if item.recorded is False:
        told.append("not recorded")
    if item.usage is not None:
        told.append(f"{item.usage.prompt_tokens:,} + {item.usage.completion_tokens:,} tokens to read it")
    told.append(_seconds(item.elapsed_seconds))
    mark = "ok" if item.ok else "!!"
    return f"{mark}  {one_line(item.target, _TARGET_WIDTH)}: {one_line(', '.join(told))}"


def _try(tried: ToolTry) -> str:
    return f"{one_line(tried.provider)}: {one_line(tried.outcome)}, {_seconds(tried.elapsed_seconds)}, " + _usd(
        tried.cost_usd
    )


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f} s" if seconds < 1 else f"{seconds:.1f} s"


def _usd(amount: float) -> str:
    return f"${amount:.4f}".rstrip("0").rstrip(".") if amount else "$0"
