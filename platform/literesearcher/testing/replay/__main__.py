"""`python -m literesearcher.testing.replay --rollouts DIR`: serves until SIGTERM; its first line is its URL."""

from __future__ import annotations

import argparse
import asyncio
import signal
from pathlib import Path

from literesearcher.engine.tokenizer import Tokenizer
from literesearcher.testing.replay.rollouts import load
from literesearcher.testing.replay.server import ReplayServer


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(prog="literesearcher.testing.replay", description=__doc__)
    parser.add_argument("--rollouts", type=Path, required=True, help="a JSON file, or a folder of them")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--opens-thought", action="store_true", help="chat answers begin inside the thought")
    parser.add_argument("--shared", action="store_true", help="several jobs ask the same question at once")
    parser.add_argument("--failed-search-status", type=int, default=400)
    parser.add_argument("--tokenizer", type=Path, help="a tokenizer.json: prompts may come as its token ids")
    asyncio.run(_serve(parser.parse_args()))


async def _serve(arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = ReplayServer(
        load(arguments.rollouts),
        port=arguments.port,
        delay=arguments.delay,
        opens_thought=arguments.opens_thought,
        shared=arguments.shared,
        failed_search_status=arguments.failed_search_status,
        tokenizer=Tokenizer.from_file(arguments.tokenizer) if arguments.tokenizer else None,
    )
    async with server:
        print(server.url, flush=True)
        await stop.wait()


if __name__ == "__main__":
    main()
