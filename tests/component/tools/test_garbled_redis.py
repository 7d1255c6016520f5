"""Something stands where Redis should and answers whatever it likes: every call goes on in the process, at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from literesearcher.telemetry.tool_metrics import ToolMetrics
from literesearcher.testing.manual_clock import ManualClock
from literesearcher.tools.cache.shared import RedisKept
from literesearcher.tools.limits.bucket import LocalBucket
from literesearcher.tools.limits.rate import RateGate
from literesearcher.tools.limits.shared_bucket import SharedBucket
from literesearcher.tools.redis_link import RedisAway, RedisLink

PATIENCE_SECONDS = 60.0


class Impostor:
    """Speaks RESP as far as a client needs to send its commands, and answers `said` to those that matter."""

    def __init__(self) -> None:
        self.said = b"+OK\r\n"
        self.asked: Counter[str] = Counter()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/0"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                parts = []
                for _ in range(int(line[1:])):
                    size = int((await reader.readline())[1:])
                    parts.append((await reader.readexactly(size + 2))[:-2])
                command = parts[0].decode().upper()
                self.asked[command] += 1
                hello = b"%1\r\n+proto\r\n:3\r\n"
                writer.write(
                    hello if command == "HELLO" else self.said if command in ("EVALSHA", "GET") else b"+OK\r\n"
                )
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def aclose(self) -> None:
        assert self._server is not None
        self._server.close()


@pytest.fixture
async def impostor() -> AsyncIterator[Impostor]:
    impostor = Impostor()
    await impostor.start()
    yield impostor
    await impostor.aclose()


class Office:
    """A gate of one token a second with a burst of one over the impostor."""

    def __init__(self, impostor: Impostor) -> None:
        self.clock = ManualClock()
        self.metrics = ToolMetrics()
        self.link = RedisLink(SecretStr(impostor.url), clock=self.clock, metrics=self.metrics, timeout_seconds=10.0)
        self.local = LocalBucket(per_second=1.0, burst=1, clock=self.clock)
        self.gate = RateGate("serper", SharedBucket("x", local=self.local, link=self.link), clock=self.clock)
        self.kept = RedisKept(self.link, clock=self.clock)

    def errors(self, operation: str) -> float:
        name = "literesearcher_tools_cache_errors_total"
        return self.metrics.registry.get_sample_value(name, {"operation": operation}) or 0.0


@pytest.fixture
async def office(impostor: Impostor) -> AsyncIterator[Office]:
    office = Office(impostor)
    yield office
    await office.gate.aclose()
    await office.link.aclose()


def bulk(text: str) -> bytes:
    return f"${len(text)}\r\n{text}\r\n".encode()


GARBLED = {
    "a word": b"+OK\r\n",
    "a number": b":5\r\n",
    "nothing": b"_\r\n",
    "an empty list": b"*0\r\n",
    "too short": b"*1\r\n:0\r\n",
    "no number": b"*3\r\n:0\r\n" + bulk("abc") + b":1\r\n",
    "not a number": b"*3\r\n:0\r\n" + bulk("nan") + b":0\r\n",
    "infinite": b"*3\r\n:0\r\n" + bulk("inf") + b":0\r\n",
    "negative": b"*3\r\n:0\r\n" + bulk("-1") + b":0\r\n",
    "no wait for who got nothing": b"*3\r\n:0\r\n" + bulk("0") + b":0\r\n",
    "a wait of a day": b"*3\r\n:0\r\n" + bulk("86400") + b":0\r\n",
    "too few tokens": b"*2\r\n:0\r\n" + bulk("0"),
    "tokens for nobody": b"*4\r\n:0\r\n" + bulk("0") + b":1\r\n:1\r\n",
    "more tokens than wanted": b"*3\r\n:0\r\n" + bulk("0") + b":999999999999\r\n",
    "less than no tokens": b"*3\r\n:0\r\n" + bulk("1") + b":-1\r\n",
    "a truth for a number": b"*3\r\n:0\r\n" + bulk("0") + b"#t\r\n",
    "a list for tokens": b"*3\r\n:0\r\n" + bulk("0") + b"*1\r\n:1\r\n",
    "a number of a thousand digits": b"*3\r\n:0\r\n" + bulk("0" * 1000) + b":1\r\n",
    "paused for no number": b"*2\r\n:1\r\n" + bulk("nan"),
    "paused for ever": b"*2\r\n:1\r\n" + bulk("1e9"),
    "paused for no time": b"*2\r\n:1\r\n" + bulk("0"),
    "neither paused nor not": b"*3\r\n:7\r\n" + bulk("0") + b":1\r\n",
    "no RESP": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "a length that is none": b"$x\r\n",
    "a map with a list for a key": b"%1\r\n*1\r\n:1\r\n:1\r\n",
    "lists without end": b"*1\r\n" * 50_000,
}


@pytest.mark.parametrize("said", GARBLED.values(), ids=GARBLED.keys())
async def test_a_token_comes_from_the_process_and_the_impostor_is_left_alone(office, impostor, said):
    impostor.said = said
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await office.gate.enter("a", 100.0) == "rate"
    assert impostor.asked["EVALSHA"] == 1
    assert office.errors("rate") == 1
    assert office.local.paused_seconds == 0
    second = asyncio.create_task(office.gate.enter("a", 100.0))
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not second.done():
            await office.clock.advance(0.5)
            await asyncio.sleep(0.01)
    assert office.clock.monotonic() >= 1.0, "at the rate of the process"
    assert impostor.asked["EVALSHA"] <= 3


async def test_a_pause_that_redis_may_tell_of_is_obeyed(office, impostor):
    impostor.said = b"*2\r\n:1\r\n" + bulk("12.5")
    waiting = asyncio.create_task(office.gate.enter("a", 100.0))
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not office.gate.paused:
            await asyncio.sleep(0.01)
    assert office.local.paused_seconds == 12.5
    assert office.errors("rate") == 0
    waiting.cancel()
    await asyncio.wait([waiting])


@pytest.mark.parametrize(
    "said",
    [b"*1\r\n" * 50_000, b"$x\r\n", b"%1\r\n*1\r\n:1\r\n:1\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"?\r\n"],
    ids=["lists without end", "no length", "a list for a key", "HTTP", "no type"],
)
async def test_the_cache_is_away_when_its_answer_cannot_be_read(office, impostor, said):
    impostor.said = said
    async with asyncio.timeout(PATIENCE_SECONDS):
        with pytest.raises(RedisAway) as caught:
            await office.kept.get("k")
        assert caught.value.__context__ is None
        assert office.errors("get") == 1
        await office.clock.advance(1.0)
        impostor.said = bulk("kept")
        assert await office.kept.get("k") == b"kept", "and the connection that it spoiled is not used again"
