"""The port to the tools: one call of the model in, the text that the model reads out.

Refuses to know: journals, the machine, model turns. Above: the orchestrator, the tool proxy's HTTP routes, the CLI.
Below: search providers, the fetch chain, extraction. `testing.ScriptedTools` is its in-memory twin.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from literesearcher.research.events import ToolItem
from literesearcher.research.messages import Profile
from literesearcher.research.tool_options import ANY_SOURCE, CacheMode, Fidelity, SourcePolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Who calls a tool, and on which terms."""

    job_id: str = ""
    tenant_id: str = ""
    profile: Profile = "inference"
    timeout_seconds: float = 600.0
    """The whole call's deadline; what is not there by then reads as failed, item by item."""
    cache: CacheMode = "default"
    sources: SourcePolicy = ANY_SOURCE
    fidelity: Fidelity | None = None
    """None: as the proxy is set; it settles this before it hands the ask on."""
    pages_read: dict[str, int] = field(default_factory=dict)
    """Pages that the job has read, by registrable name; for `sources.max_pages_per_domain`."""


ANYBODY = Ask()


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """One tool call as the model wrote it."""

    name: str
    arguments: dict[str, Any]
    ask: Ask = ANYBODY


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What the model reads (without the `<tool_response>` tags), and where each part came from."""

    text: str
    items: list[ToolItem] = field(default_factory=list)
    elapsed_seconds: float = 0.0

    @property
    def cost_usd(self) -> float:
        """By the operator's price list."""
        return sum(item.cost_usd for item in self.items)


class Tools(Protocol):
    """The tool proxy. A page or a search that fails is a text that the model reads, not an exception.

    Raises `BoundaryError` only where no result text is right (the proxy itself cannot be reached).
    """

    async def call(self, request: ToolRequest) -> ToolResult:
        """Carry out one call. Arguments of the wrong shape give a text that the model can act on."""
        ...

    async def prices(self) -> dict[str, float]:
        """USD that one item (a query, a page) of each tool may cost at most, by the operator's price list."""
        ...

    async def aclose(self) -> None:
        """Close connections and pools. Safe to call twice."""
        ...
