"""Tools that answer when a test lets them, and the application `tools` of them: jobs pause for as long as a test wants.

Owns: the gates, files that every replica looks for; the application's builder and configuration. Refuses to know: which
cluster runs it, what jobs ask. Ray's processes load it by `IMPORT_PATH`; `testing.timed_application` is the engine's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from literesearcher.tools.port import ToolRequest, ToolResult

ALL = "all"
"""The file that lets every job's calls through."""
IMPORT_PATH = "literesearcher.testing.gated_tools:tools"
LOOK_SECONDS = 0.1


class GatedTools:
    """Implements `tools.port.Tools`. `gates`: the folder."""

    def __init__(self, gates: Path) -> None:
        self._gates = gates

    async def call(self, request: ToolRequest) -> ToolResult:
        """Nothing is found, as soon as there is a file with the job's name, or `ALL`."""
        while not any((self._gates / name).exists() for name in (request.ask.job_id, ALL)):  # noqa: ASYNC110  # Another process makes it.
            await asyncio.sleep(LOOK_SECONDS)
        return ToolResult("Nothing was found.")

    async def prices(self) -> dict[str, float]:
        """Nothing costs anything."""
        return {"search": 0.0, "visit": 0.0}

    async def aclose(self) -> None:
        """Nothing to close."""


def tools(args: Mapping[str, Any]) -> Any:
    """`gates`: the folder's path."""
    from literesearcher.cluster.applications import tools_application

    return tools_application(partial(opened, args["gates"]))


@asynccontextmanager
async def opened(gates: str) -> AsyncIterator[Any]:
    """Runs in the replica."""
    from literesearcher.cluster.tools_app import OpenedTools

    yield OpenedTools(GatedTools(Path(gates)), headroom=lambda: 1.0)


def gated_configuration(name: str, gates: Path, **options: Any) -> dict[str, Any]:
    """One application for Serve's configuration; `options` are the deployment's."""
    deployment: dict[str, Any] = {
        "name": "Tools",
        "max_ongoing_requests": 64,
        "graceful_shutdown_wait_loop_s": 0.2,
        "ray_actor_options": {"num_cpus": 0.1},
        **options,
    }
    return {
        "name": name,
        "route_prefix": None,
        "import_path": IMPORT_PATH,
        "args": {"gates": str(gates)},
        "deployments": [deployment],
    }
