"""The replay server: recorded rollouts behind the wire forms of a model server, Serper and Jina Reader.

Owns: routes and connections. `POST /v1/chat/completions` and `/v1/completions` (streamed or not) carry turns and page
extractions, `GET /v1/models`, `POST /serper/search`, `GET /jina/{url}`; `GET /replay/report` says what was not as
recorded. Below: `book` (what is right now), `served` (bytes made in advance).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any

import orjson
from aiohttp import web

from literesearcher.engine.tokenizer import Tokenizer
from literesearcher.testing.replay.book import Book, Unexpected
from literesearcher.testing.replay.rollouts import Case
from literesearcher.testing.replay.served import (
    MODEL,
    OPENING,
    Reply,
    extraction,
    find_marker,
    organic,
    page,
    page_numbers,
    url_key,
)

_CHINESE = re.compile("[\u4e00-\u9fff]")
_CHATML = re.compile(r"<\|im_start\|>(system|user|assistant)\n(.*?)<\|im_end\|>\n", re.S)
_ASSISTANT = "<|im_start|>assistant\n"
CONTEXT_LENGTH = 262_144


class ReplayServer:
    """`async with ReplayServer(cases) as server`: `server.url` is its root."""

    def __init__(
        self,
        cases: Sequence[Case],
        *,
        port: int = 0,
        delay: float = 0.0,
        opens_thought: bool = False,
        shared: bool = False,
        failed_search_status: int = 400,
        tokenizer: Tokenizer | None = None,
    ) -> None:
        """`delay`: seconds before each answer. `opens_thought`: chat answers begin inside the thought.
        `failed_search_status`: what a search that failed answers; 5xx makes clients try again. `tokenizer`: completions
        may bring their prompt as its token ids."""
        self.book = Book(cases, shared=shared)
        self.url = ""
        self._port = port
        self._delay = delay
        self._opens_thought = opens_thought
        self._failed_search_status = failed_search_status
        self._tokenizer = tokenizer
        self._numbers = page_numbers([one.turns for one in self.book.progress])
        self._keys = list(self._numbers)
        self._made: dict[tuple[str, int], Any] = {}
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> ReplayServer:
        app = web.Application(client_max_size=256 * 1024 * 1024)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/completions", self._completion)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/serper/search", self._search)
        app.router.add_get("/jina/{url:.*}", self._page)
        app.router.add_get("/replay/report", self._report)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port, backlog=1024).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = orjson.loads(await request.read())
        messages = [(message["role"], message["content"]) for message in body["messages"]]
        chosen = self._choose(messages, self._opens_thought, self._opens_thought)
        if chosen is None:
            return _refusal()
        return await self._answer(request, body, chosen.chat, chosen.chat_events)

    async def _completion(self, request: web.Request) -> web.StreamResponse:
        body = orjson.loads(await request.read())
        prompt, _, opening = self._text(body["prompt"]).rpartition(_ASSISTANT)
        messages = [(found[1], found[2]) for found in _CHATML.finditer(prompt)]
        if sum(len(role) + len(content) + 24 for role, content in messages) != len(prompt):
            self.book.unexpected.append("a prompt that is not whole ChatML")
        chosen = self._choose(messages, opening == OPENING, False)
        if chosen is None:
            return _refusal()
        return await self._answer(request, body, chosen.completion, chosen.completion_events)

    def _text(self, prompt: str | list[int]) -> str:
        if isinstance(prompt, str):
            return prompt
        if self._tokenizer is None:
            self.book.unexpected.append("a prompt of token ids, and no tokenizer to read them")
            return ""
        return self._tokenizer.decode(prompt)

    def _choose(self, messages: list[tuple[str, str]], opened: bool, continued: bool) -> Reply | None:
        try:
            if self.book.is_job(messages):
                turn = self.book.next_turn(messages, continued=continued)
                return turn.continued if opened else turn.whole
            prompt = messages[-1][1] if messages else ""
            number = find_marker(prompt)
            if number is None or number >= len(self._keys):
                self.book.unexpected.append(f"a model call that is neither a job nor an extraction: {prompt[:200]!r}")
                return None
            item = self.book.extraction(self._keys[number], prompt)
            reply: Reply = self._once(("extraction", id(item)), lambda: extraction(item))
            return reply
        except Unexpected:
            return None

    async def _answer(
        self, request: web.Request, body: dict[str, Any], whole: bytes, events: Sequence[bytes]
    ) -> web.StreamResponse:
        if self._delay:
            await asyncio.sleep(self._delay)
        if not body.get("stream"):
            return web.Response(body=whole, content_type="application/json")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for event in events:
            await response.write(event)
        return response

    async def _models(self, request: web.Request) -> web.Response:
        card = {"id": MODEL, "object": "model", "owned_by": "replay", "max_model_len": CONTEXT_LENGTH}
        return _json({"object": "list", "data": [card]})

    async def _search(self, request: web.Request) -> web.Response:
        body = orjson.loads(await request.read())
        query = str(body.get("q", ""))
        if not request.headers.get("X-API-KEY"):
            self.book.unexpected.append("a search without its key")
        if bool(_CHINESE.search(query)) is not (body.get("gl") == "cn") and query.isprintable():
            self.book.unexpected.append(f"search for {query!r} went to gl {body.get('gl')!r}")
        if self._delay:
            await asyncio.sleep(self._delay)
        try:
            item = self.book.search(query)
        except Unexpected:
            return _json({"organic": []})
        if item.failed:
            return _json({"message": "replayed failure"}, status=self._failed_search_status)
        return web.Response(
            body=self._once(("search", id(item)), lambda: organic(item)), content_type="application/json"
        )

    async def _page(self, request: web.Request) -> web.Response:
        url = request.raw_path.removeprefix("/jina/")
        if self._delay:
            await asyncio.sleep(self._delay)
        try:
            item = self.book.page(url)
        except Unexpected:
            return web.Response(status=404, text="never recorded")
        number = self._numbers[url_key(item.url)]
        body = self._once(("page", id(item)), lambda: page(item, number))
        if body is None:
            return web.Response(status=404, text="replayed failure")
        return web.Response(body=body, content_type="text/plain", charset="utf-8")

    async def _report(self, request: web.Request) -> web.Response:
        return _json(self.book.report())

    def _once(self, key: tuple[str, int], make: Any) -> Any:
        """Made at the first call. Items live as long as the book, so their identity is a key."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json")


def _refusal() -> web.Response:
    return _json({"error": {"message": "nothing recorded answers this; see /replay/report", "code": 400}}, status=400)
