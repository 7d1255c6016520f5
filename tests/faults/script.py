"""The scripted job that is made to crash: what its model says and its tools find depends on nothing but the prompt.

So a call that is made again after a crash gives the same, and the answer must not depend on where the crash was. Also
run as a process of its own: `script.py STORE_URL JOB_ID POINT N` drives that job and dies at the point by SIGKILL;
`script.py STORE_URL` serves the queue until SIGTERM.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from typing import Literal, cast

from literesearcher.engine.port import DeltaSink, EngineInfo, Generation, GenerationRequest
from literesearcher.jobs.live import LocalLive
from literesearcher.jobs.sql_store import open_store
from literesearcher.orchestrator.faults import FaultPoint
from literesearcher.research.events import ToolItem
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

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.requests: list[GenerationRequest] = []

    async def describe(self) -> EngineInfo:
        return EngineInfo("scripted", "m", 131_072)

    async def generate(
        self, request: GenerationRequest, *, timeout_seconds: float, on_delta: DeltaSink | None = None
    ) -> Generation:
        self.requests.append(request)
        await asyncio.sleep(self.seconds)
        text = TURNS[sum(message.role == "assistant" for message in request.messages)]
        if on_delta is not None:
            await on_delta(text)
        return Generation(text, "stop", Usage(10, 5), "m")

    def count_tokens(self, text: str) -> int | None:
        return None

    async def aclose(self) -> None:
        """Nothing to close."""


PRICES = {"search": 0.002, "visit": 0.01}
COSTS = {"search": 0.001, "visit": 0.01}
"""USD of an item at most, and in fact."""


class Echo:
    """Tools that find what they are asked for, at a price."""

    def __init__(self) -> None:
        self.calls: list[ToolRequest] = []

    async def call(self, request: ToolRequest) -> ToolResult:
        self.calls.append(request)
        kind: Literal["search", "page"] = "search" if request.name == "search" else "page"
        targets = request.arguments["query" if kind == "search" else "url"]
        items = [ToolItem(kind, target, ok=True, cost_usd=COSTS[request.name]) for target in targets]
        return ToolResult(json.dumps([request.name, request.arguments]), items)

    async def prices(self) -> dict[str, float]:
        return PRICES

    async def aclose(self) -> None:
        """Nothing to close."""


async def drive(url: str, job_id: str, point: FaultPoint, n: int) -> None:
    """Drive the job until the point kills this process."""
    bench = await _bench(url, PromptEngine())
    await bench.worker("victim", faults=CrashAt(point, n, kill=True)).run_job(job_id)
    raise SystemExit("the point was never reached")


async def serve(url: str) -> None:
    """Serve the queue until SIGTERM, with calls that take a little time."""
    bench = await _bench(url, PromptEngine(0.2))
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    print("serving", flush=True)
    await bench.worker(f"process {os.getpid()}").run(stop)
    await bench.store.aclose()


async def _bench(url: str, engine: PromptEngine) -> Bench:
    return Bench(
        store=await open_store(url),
        live=LocalLive(),
        clock=SystemClock(),
        engine=engine,
        tools=Echo(),
        orchestrator=OrchestratorSection(lease_seconds=1, poll_seconds=0.05),
    )


if __name__ == "__main__":
    if len(sys.argv) == 2:
        asyncio.run(serve(sys.argv[1]))
    else:
        asyncio.run(drive(sys.argv[1], sys.argv[2], cast(FaultPoint, sys.argv[3]), int(sys.argv[4])))
