"""What the tool proxy takes: calls a second from its cache, memory of many slow fetches, what a huge page costs others.

    python benchmarks/tool_proxy.py [--calls 5000] [--slow 1000] [--published DIR] [--no-redis]

One run, three processes beside this one (which is the client): the proxy, the world that it asks (`tool_world.py`), and
Redis. With `--published DIR` (the folder that holds the published project's `browser_server.py`) its browse server
runs beside ours over the same world; it needs the environment of requirements.txt here. Its token counter downloads a
table at its first use, which a machine without the web cannot: then a counter of characters stands in for it, which is
cheaper than the real one. Linux only: reads /proc.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
from turn_overhead import cpu_seconds, peak_mb

from literesearcher.testing.replay.programs import Program

HERE = Path(__file__).parent
PEER_PYTHON = HERE.parent / ".venv" / "benchmarks" / "bin" / "python"
GOAL_CALLS, GOAL_MB, GOAL_MS = 500.0, 500.0, 50.0
AT_ONCE = 32
COUNTER = """
class _Characters:
    def encode(self, text, **_):
        return [ord(c) for c in text[::4]]
    def decode(self, tokens):
        return "".join(map(chr, tokens))
def get_encoding(name):
    return _Characters()
"""


def judged(text: str, goal: str, met: bool) -> str:
    """What was measured beside its goal."""
    return f"{text} (goal {goal}, {'met' if met else 'MISSED'})"


async def at_once(count: int, width: int, one: Callable[[int], Any]) -> list[float]:
    """Seconds of each of `count` calls, `width` under way at any time."""
    taken: list[float] = []
    numbers = iter(range(count))

    async def worker() -> None:
        for number in numbers:
            started = time.perf_counter()
            await one(number)
            taken.append(time.perf_counter() - started)

    await asyncio.gather(*(worker() for _ in range(width)))
    return taken


def p(share: float, taken: list[float]) -> float:
    """Milliseconds at that share of the sorted times."""
    return 1000 * sorted(taken)[min(len(taken) - 1, int(share * len(taken)))]


class Client:
    """Calls over HTTP, as the orchestrator makes them; a call that did not work ends the benchmark."""

    def __init__(self, session: aiohttp.ClientSession, base: str, world: str) -> None:
        self._session, self._base = session, base
        self._port = world.rsplit(":", 1)[1]

    async def search(self, number: int) -> None:
        body = {"query": [f"question number {number} of the committee"]}
        await self._ok("/v1/tools/search", body)

    async def visit(self, kind: str, number: int, options: str = "", host: int | None = None) -> None:
        site = f"http://site-{number if host is None else host}.example:{self._port}"
        await self._ok("/v1/tools/visit", {"url": [f"{site}/{kind}/{number}{options}"], "goal": "what it saw"})

    async def _ok(self, path: str, body: dict[str, Any]) -> None:
        async with self._session.post(self._base + path, json=body) as response:
            told = await response.json()
            if response.status != 200 or not all(item["ok"] for item in told["items"]):
                raise SystemExit(f"{path} gave {response.status}: {str(told)[:500]}")


async def from_cache(client: Client, proxy: Program, calls: int) -> None:
    """Searches and visits that are kept already."""
    warm = 200
    for name, one in (("search", client.search), ("visit", lambda n: client.visit("small", n))):
        await at_once(warm, AT_ONCE, one)
        ours, mine = cpu_seconds(proxy.process.pid), time.process_time()
        started = time.perf_counter()
        taken = await at_once(calls, AT_ONCE, lambda n, one=one: one(n % warm))
        wall = time.perf_counter() - started
        rate = calls / wall
        ours, mine = cpu_seconds(proxy.process.pid) - ours, time.process_time() - mine
        print(
            f"| {name} from cache | {judged(f'{rate:,.0f} calls/s', f'{GOAL_CALLS:,.0f}', rate >= GOAL_CALLS)}"
            f" | {1000 * ours / calls:.2f} ms proxy, {1000 * mine / calls:.2f} ms client"
            f" | p50 {p(0.5, taken):.1f} ms, p99 {p(0.99, taken):.1f} ms |"
        )


async def slow_fetches(client: Client, proxy: Program, count: int) -> None:
    """All at once, each 200 kB over ten seconds."""
    cpu, started = cpu_seconds(proxy.process.pid), time.perf_counter()
    before = peak_mb(proxy.process.pid)
    await at_once(count, count, lambda n: client.visit("slow", n, "?seconds=10"))
    wall, cpu = time.perf_counter() - started, cpu_seconds(proxy.process.pid) - cpu
    peak = peak_mb(proxy.process.pid)
    print(
        f"| {count:,} slow fetches of 200 kB | all there after {wall:.1f} s | {1000 * cpu / count:.1f} ms proxy"
        f" | {judged(f'{peak:.0f} MB at most, {before:.0f} before', f'{GOAL_MB:.0f}', peak <= GOAL_MB)} |"
    )


async def beside_a_big_page(client: Client) -> None:
    """Small uncached visits, alone and while 10 MB pages are read one after the other."""
    alone = await at_once(400, 4, lambda n: client.visit("small", 10_000 + n))
    done = asyncio.Event()

    async def bigs() -> int:
        number = 0
        while not done.is_set():
            await client.visit("big", number, host=50_000 + number)
            number += 1
        return number

    big = asyncio.create_task(bigs())
    beside = await at_once(400, 4, lambda n: client.visit("small", 20_000 + n))
    done.set()
    count = await big
    more = p(0.99, beside) - p(0.99, alone)
    print(
        f"| small visits beside {count} pages of 10 MB"
        f" | p99 {p(0.99, alone):.0f} ms alone, {p(0.99, beside):.0f} ms beside"
        f" | p50 {p(0.5, alone):.0f} and {p(0.5, beside):.0f} ms"
        f" | {judged(f'{more:+.0f} ms', f'{GOAL_MS:.0f}', more <= GOAL_MS)} |"
    )


async def uncached(client: Client, proxy: Program, count: int) -> float:
    """CPU milliseconds of one visit that nothing was kept of."""
    cpu = cpu_seconds(proxy.process.pid)
    await at_once(count, 16, lambda n: client.visit("small", 30_000 + n))
    return 1000 * (cpu_seconds(proxy.process.pid) - cpu) / count


async def published(
    stack: AsyncExitStack,
    session: aiohttp.ClientSession,
    source: Path,
    world: str,
    slow: int,
    folder: Path,
    ours: float,
) -> None:
    """The published browse server over the same world."""
    if not PEER_PYTHON.exists():
        print(f"| published browse server | not run: no {PEER_PYTHON}, see benchmarks/requirements.txt | | |")
        return
    peer = folder / "published" / "src"
    peer.mkdir(parents=True)
    (peer / "browser_server.py").write_bytes((source / "browser_server.py").read_bytes())
    (peer / "tiktoken.py").write_text(COUNTER)
    port = world.rsplit(":", 1)[1]
    own = _free_port()
    environ = dict(os.environ) | {
        "BROWSER_SERVER_PORT": str(own),
        "SUMMARY_PORTS": port,
        "SUMMARY_MODEL_NAME": "reader",
    }
    program = await Program.start(
        str(PEER_PYTHON), str(peer / "browser_server.py"), environ=environ, log=folder / "published.log"
    )
    stack.push_async_callback(program.kill)
    await program.says(r"(Uvicorn running)")

    async def browse(kind: str, number: int, options: str = "") -> None:
        body = {"url": f"{world}/{kind}/{number}{options}", "goal": "what it saw"}
        async with session.post(f"http://127.0.0.1:{own}/browse", json=body) as response:
            told = await response.json()
            if not told.get("success") or "could not be accessed" in told["result"]:
                raise SystemExit(f"the published server gave {str(told)[:500]}")

    await at_once(20, 4, lambda n: browse("small", n))
    pid = program.process.pid
    cpu = cpu_seconds(pid)
    await at_once(300, 16, lambda n: browse("small", 30_000 + n))
    theirs = 1000 * (cpu_seconds(pid) - cpu) / 300
    started, cpu = time.perf_counter(), cpu_seconds(pid)
    await at_once(slow, slow, lambda n: browse("slow", n, "?seconds=10"))
    wall, cpu = time.perf_counter() - started, cpu_seconds(pid) - cpu
    print(
        f"| published: small visit, nothing kept | {theirs / ours:.1f} times ours"
        f" | {theirs:.1f} ms, ours {ours:.1f} ms | |"
    )
    print(
        f"| published: {slow:,} slow fetches | all there after {wall:.1f} s | {1000 * cpu / slow:.1f} ms a fetch"
        f" | {peak_mb(pid):.0f} MB at most |"
    )


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def run(options: argparse.Namespace) -> None:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        plain = {"PATH": os.environ.get("PATH", ""), "HOME": str(folder)}
        world = await Program.start(
            sys.executable, str(HERE / "tool_world.py"), environ=plain, log=folder / "world.log"
        )
        stack.push_async_callback(world.kill)
        there = await world.says(r"world at (http://\S+)\n")
        settings = plain | {
            "LITERESEARCHER_DATA_DIR": str(folder / "data"),
            "LITERESEARCHER_SERPER__API_KEY": "none",
            "LITERESEARCHER_SERPER__BASE_URL": there,
            "LITERESEARCHER_TOOLS__PAGES": '["direct"]',
            "LITERESEARCHER_ENGINE__BASE_URL": f"{there}/v1",
            "LITERESEARCHER_ENGINE__MODEL": "reader",
        }
        # No limit of the operator's is what is measured here.
        for name, value in (("PER_SECOND", 100_000), ("BURST", 100_000), ("CONCURRENCY", 2_000)):
            settings |= {f"LITERESEARCHER_{which}__{name}": str(value) for which in ("SERPER", "DIRECT")}
        if not options.no_redis:
            settings["LITERESEARCHER_TOOLS__REDIS_URL"] = _redis(stack)
        proxy = await Program.start(
            sys.executable, str(HERE / "tool_service.py"), environ=settings, log=folder / "proxy.log"
        )
        stack.push_async_callback(proxy.kill)
        base = await proxy.says(r"listening on (http://\S+)\n")
        connector = aiohttp.TCPConnector(limit=0)
        session = await stack.enter_async_context(
            aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=600))
        )
        client = Client(session, base, there)
        kept = "in process" if options.no_redis else "in Redis"
        print(f"Cache {kept}; {os.cpu_count()} cores, client and providers on them too.\n")
        print("| what | result | CPU a call | |\n| --- | --- | --- | --- |")
        await from_cache(client, proxy, options.calls)
        ours = await uncached(client, proxy, 300)
        print(f"| small visit, nothing kept | | {ours:.1f} ms proxy | |")
        await beside_a_big_page(client)
        await slow_fetches(client, proxy, options.slow)
        if options.published is not None:
            await published(stack, session, options.published, there, options.slow, folder, ours)


def _redis(stack: AsyncExitStack) -> str:
    """A Redis of our own, from whatever binary the machine has."""
    sys.path.insert(0, str(HERE.parent / "tests"))
    from services import RedisServer, redis_binary

    binary = redis_binary()
    if binary is None:
        raise SystemExit("no redis-server was found: install one, or say --no-redis")
    server = RedisServer(binary)
    server.start()
    stack.callback(server.stop)
    return server.url


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=5_000, help="calls from the cache, for each tool")
    parser.add_argument("--slow", type=int, default=1_000, help="slow fetches at once")
    parser.add_argument("--published", type=Path, help="folder of the published browser_server.py")
    parser.add_argument("--no-redis", action="store_true", help="the in-process cache")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
