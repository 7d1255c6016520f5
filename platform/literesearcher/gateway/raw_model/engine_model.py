"""An engine of this process as the raw model: OpenAI's form around the port to engines.

Owns: several choices at once, the deadline, that a generation ends with its request, the order of a stream's chunks.
Refuses to know: HTTP, keys, tenants, which engine it is. A request is a conversation of nobody's: it is kept for no
next turn. Above: `gateway.passed_answer`. Below: `raw_model.asked`, `raw_model.said`, any runtime of `engine.port`.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager

from literesearcher.engine.port import DeltaSink, Engine, Generation, GenerationRequest
from literesearcher.errors import BoundaryError, CallerError, ConfigurationError, PromptTooLong
from literesearcher.gateway.model_call import ModelCall
from literesearcher.gateway.raw_model.asked import Asked, read_asked
from literesearcher.gateway.raw_model.port import RawAnswer
from literesearcher.gateway.raw_model.said import Form
from literesearcher.gateway.upstream import without_address
from literesearcher.timing.clock import Clock

log = logging.getLogger("literesearcher.gateway")

_Came = tuple[int, "str | asyncio.Task[Generation]"]


class EngineModel:
    """Implements `raw_model.port.RawModel`. The engine stays its owner's to close."""

    def __init__(self, engine: Engine, *, clock: Clock, seconds: float) -> None:
        """`seconds`: one request at most."""
        self._engine = engine
        self._clock = clock
        self._seconds = seconds

    def check(self) -> None:
        """There is one."""

    @asynccontextmanager
    async def answer(self, path: str, call: ModelCall) -> AsyncIterator[RawAnswer]:
        """A stream begins when the engine has said something: what it refuses before is raised."""
        asked = read_asked(path, call.body)
        with _as_asked():
            model = (await self._engine.describe()).model
        kind = "chatcmpl" if asked.chat else "cmpl"
        form = Form(asked, f"{kind}-{uuid.uuid4().hex}", int(self._clock.now().timestamp()), model)
        if not asked.stream:
            with _as_asked():
                body = form.whole(await self._generations(asked))
            yield RawAnswer(body=body)
            return
        async with aclosing(self._events(asked, form)) as events:
            first = await anext(events)
            yield RawAnswer(pieces=_after(first, events))

    async def aclose(self) -> None:
        """Nothing of its own."""

    async def _generations(self, asked: Asked) -> list[Generation]:
        works = [asyncio.ensure_future(self._generation(one)) for one in asked.requests]
        try:
            return await asyncio.gather(*works)
        finally:
            await _ended(works)

    async def _events(self, asked: Asked, form: Form) -> AsyncGenerator[bytes, None]:
        came: asyncio.Queue[_Came] = asyncio.Queue()
        works = [self._begun(at, one, came) for at, one in enumerate(asked.requests)]
        found: dict[int, Generation] = {}
        begun: set[int] = set()
        try:
            with _as_asked():
                while len(found) < len(works):
                    # For a reader who is slow it is one piece, however much came.
                    for at, what in _joined([await came.get(), *_ready(came)]):
                        if isinstance(what, asyncio.Task):
                            found[at] = what.result()
                        opening = b"" if at in begun else form.begin(at)
                        begun.add(at)
                        yield opening + (form.piece(at, what) if isinstance(what, str) else form.end(at, found[at]))
            yield form.last([found[at] for at in range(len(works))])
        finally:
            await _ended(works)

    def _begun(self, at: int, request: GenerationRequest, came: asyncio.Queue[_Came]) -> asyncio.Task[Generation]:
        async def sink(text: str) -> None:
            came.put_nowait((at, text))

        work = asyncio.create_task(self._generation(request, sink))
        work.add_done_callback(lambda done: came.put_nowait((at, done)))
        return work

    async def _generation(self, request: GenerationRequest, on_delta: DeltaSink | None = None) -> Generation:
        try:
            async with asyncio.timeout(self._seconds):
                return await self._engine.generate(request, timeout_seconds=self._seconds, on_delta=on_delta)
        except TimeoutError:
            raise BoundaryError("the model took too long", code="engine_timeout", transient=True) from None


@contextmanager
def _as_asked() -> Iterator[None]:
    """An engine's refusal of the request itself is the caller's; its other failures name no place."""
    try:
        yield
    except PromptTooLong as error:
        raise CallerError(error.message, code="context_length_exceeded") from None
    except BoundaryError as error:
        if error.code == "engine_rejected":
            raise CallerError(error.message, code="model_refused") from None
        raise without_address(error) from error
    except ConfigurationError as error:
        # A runtime that starts again, and finds its checkpoint gone: paths and settings are the operator's.
        log.error("the raw model: %s", error)
        raise BoundaryError("the model server cannot be used", code="engine_unreachable") from error


async def _ended(works: list[asyncio.Task[Generation]]) -> None:
    for work in works:
        work.cancel()
    await asyncio.gather(*works, return_exceptions=True)


async def _after(first: bytes, events: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for event in events:
        yield event


def _ready(came: asyncio.Queue[_Came]) -> list[_Came]:
    return [came.get_nowait() for _ in range(came.qsize())]


def _joined(parts: list[_Came]) -> list[_Came]:
    """Texts of one choice that follow each other as one."""
    joined: list[_Came] = []
    for at, what in parts:
        last = joined[-1] if joined else None
        if last is not None and last[0] == at and isinstance(last[1], str) and isinstance(what, str):
            joined[-1] = (at, last[1] + what)
        else:
            joined.append((at, what))
    return joined
