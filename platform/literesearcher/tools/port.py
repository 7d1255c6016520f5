"""The port to the tools: one call of the model in, the text that the model reads out.

Refuses to know: journals, the machine, model turns. Above: the orchestrator, the tool proxy's HTTP routes, the CLI.
Below: search providers, the fetch chain, extraction. `testing.ScriptedTools` is its in-memory twin.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from literesearcher.research.events import ToolItem
from literesearcher.research.messages import Profile


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """One tool call as the model wrote it."""

    name: str
    arguments: dict[str, Any]
    job_id: str = ""
    tenant_id: str = ""
    profile: Profile = "inference"
    timeout_seconds: float = 600.0
    """The whole call's deadline; what is not there by then reads as failed, item by item."""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What the model reads (without the `<tool_response>` tags), and where each part came from."""

    text: str
    items: list[ToolItem] = field(default_factory=list)
    elapsed_seconds: float = 0.0


class Tools(Protocol):
    """The tool proxy. A page or a search that fails is a text that the model reads, not an exception.

    Raises `BoundaryError` only where no result text is right (the proxy itself cannot be reached, a quota is spent).
    """

    async def call(self, request: ToolRequest) -> ToolResult:
        """Carry out one call. Arguments of the wrong shape give a text that the model can act on."""
        ...

    async def aclose(self) -> None:
        """Close connections and pools. Safe to call twice."""
        ...
