"""The tool proxy as `literesearcher tools serve` runs it, but with a guard that lets it fetch from this machine.

    python benchmarks/tool_service.py

Settings from the environment as ever; `*.example` names are this machine. Prints its URL. For `tool_proxy.py` only.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import AsyncExitStack

from literesearcher.cli.prompt_files import read_prompts
from literesearcher.cli.wiring_engine import make_engine
from literesearcher.cli.wiring_tools import EngineCompleter
from literesearcher.gateway.serving import serve
from literesearcher.settings.load import load_settings
from literesearcher.timing.clock import SystemClock
from literesearcher.tools.assembly import assemble
from literesearcher.tools.pages.extraction import EngineExtractor
from literesearcher.tools.perimeter.guard import Guard
from literesearcher.tools.service.app import create_app


async def here(host: str) -> Sequence[str]:
    return ["127.0.0.1"]


async def main() -> None:
    settings = load_settings(os.environ, dotenv=None)
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        engine = make_engine(settings.engine, clock)
        stack.push_async_callback(engine.aclose)
        prompts = read_prompts(settings)
        extractor = EngineExtractor(
            EngineCompleter(engine), prompts, clock=clock, model="reader", context_length=131_072
        )
        guard = Guard(resolve=here, address_allowed=lambda address: True)
        tools = assemble(settings, extractor=extractor, clock=clock, count_tokens=engine.count_tokens, guard=guard)
        stack.push_async_callback(tools.aclose)
        app = create_app(tools)
        await serve(
            app,
            host="127.0.0.1",
            port=0,
            stop=asyncio.Event(),
            ready=lambda port: print(f"listening on http://127.0.0.1:{port}", flush=True),
        )


if __name__ == "__main__":
    try:
        import uvloop

        uvloop.run(main())
    except ImportError:
        asyncio.run(main())
