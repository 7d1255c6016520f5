"""The scripted job that is made to crash: what its model says and its tools find depends on nothing but the prompt.

So a call that is made again after a crash gives the same, and the answer must not depend on where the crash was. Also
run as a process of its own (`script.py STORE_URL JOB_ID POINT N`), which dies there by SIGKILL.
"""

from __future__ import annotations

import asyncio
import json
import sys

from literesearcher.engine.port import DeltaSink, EngineInfo, Generation, GenerationRequest
from literesearcher.jobs.live import LocalLive
from literesearcher.jobs.sql_store import open_store
from literesearcher.research.messages import Usage
from literesearcher.settings.sections import OrchestratorSection
from literesearcher.testing.bench import Bench
from literesearcher.testing.faults import CrashAt
from literesearcher.timing.clock import SystemClock
from literesearcher.tools.port import ToolRequest, ToolResult


def call(name: str, **arguments: object) -> str:
    """A turn that calls a tool."""
    body = json.dumps({"name": name, "arguments": arguments})
    return f"<think>\nso\n</think>\n<tool_call>\n{body}\n</tool_call>"


TURNS = (
    call("search", query=["one", "two"]),
    "<think>\noops\n</think>\n<tool_call>\n{broken\n</tool_call>",
    call("visit", url=["https://example.org/"], goal="the number"),
    "<think>\nneither call nor answer\n</think>",
    call("search", query=["three"]),
    "<think>\nknown\n</think>\n<answer>forty-two</answer>",
)
ANSWER = "forty-two"


class PromptEngine:
    """Says the turn that follows from the prompt: as many turns are done as the prompt holds model messages."""

    def __init__(self) -> None:
        self.requests: list[GenerationRequest] = []

    async def describe(self) -> EngineInfo:
        return EngineInfo("scripted", "m", 131_072)

    async def generate(
        self, request: GenerationRequest, *, timeout_seconds: float, on_delta: DeltaSink | None = None
    ) -> Generation:
        self.requests.append(request)
        text = TURNS[sum(message.role == "assistant" for message in request.messages)]
        if on_delta is not None:
            await on_delta(text)
        return Generation(text, "stop", Usage(10, 5), "m")

    def count_tokens(self, text: str) -> int | None:
        return None

    async def aclose(self) -> None:
        """Nothing to close."""


class Echo:
    """Tools that find what they are asked for."""

    def __init__(self) -> None:
        self.calls: list[ToolRequest] = []

    async def call(self, request: ToolRequest) -> ToolResult:
        self.calls.append(request)
        return ToolResult(json.dumps([request.name, request.arguments]))

    async def aclose(self) -> None:
        """Nothing to close."""


async def victim(url: str, job_id: str, point: str, n: int) -> None:
    """Drive the job until the point kills this process."""
    store = await open_store(url)
    bench = Bench(
        store=store,
        live=LocalLive(),
        clock=SystemClock(),
        engine=PromptEngine(),
        tools=Echo(),
        orchestrator=OrchestratorSection(lease_seconds=1),
    )
    await bench.worker("victim", faults=CrashAt(point, n, kill=True)).run_job(job_id)
    raise SystemExit("the point was never reached")


if __name__ == "__main__":
    asyncio.run(victim(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
