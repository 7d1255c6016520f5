"""The world around the tool proxy, on loopback: a search provider, websites slow and large, a summarising model.

    python benchmarks/tool_world.py

Prints its URL. `POST /search` answers as Serper; `GET /small/N` is a page at once, `GET /slow/N?seconds=S` are 200 kB
over S seconds, `GET /big/N` is 10 MB of HTML at once; `POST /v1/chat/completions` answers with an extraction. All is
made beforehand, so that little of the machine goes to this process.
"""

from __future__ import annotations

import asyncio

import orjson
from aiohttp import web

PARAGRAPH = (
    "<p>The committee met in the old town hall and wrote down what it had seen, in a plain and careful hand.</p>\n"
)
SLOW_BYTES = 200_000
BIG_BYTES = 10_000_000
PIECES = 10


def page(name: str, size: int) -> bytes:
    """HTML of about `size` bytes, with headings, links and a table now and then."""
    section = f"<h2>Section</h2>\n<ul><li><a href='/small/1'>a link</a></li></ul>\n{PARAGRAPH * 6}"
    body = section * max(1, size // len(section))
    return f"<!doctype html><html><head><title>{name}</title></head><body>\n{body}</body></html>".encode()


SMALL, SLOW, BIG = page("Small", 6_000), page("Slow", SLOW_BYTES), page("Big", BIG_BYTES)
EXTRACTION = orjson.dumps({"rational": "r", "evidence": "The committee met. " * 40, "summary": "It met."}).decode()


async def search(request: web.Request) -> web.Response:
    query = orjson.loads(await request.read())["q"]
    results = [
        {"title": f"Result {n} for {query}", "link": f"https://site-{n}.example/page", "snippet": "As it says. " * 12}
        for n in range(10)
    ]
    return web.json_response(body=orjson.dumps({"organic": results}))


async def site(request: web.Request) -> web.StreamResponse:
    kind = request.match_info["kind"]
    if kind != "slow":
        return web.Response(body=BIG if kind == "big" else SMALL, content_type="text/html", charset="utf-8")
    seconds = float(request.query.get("seconds", "5"))
    response = web.StreamResponse(
        headers={"Content-Type": "text/html; charset=utf-8", "Content-Length": str(len(SLOW))}
    )
    await response.prepare(request)
    step = len(SLOW) // PIECES + 1
    for start in range(0, len(SLOW), step):
        await asyncio.sleep(seconds / PIECES)
        await response.write(SLOW[start : start + step])
    return response


async def models(request: web.Request) -> web.Response:
    return web.json_response({"object": "list", "data": [{"id": "reader", "object": "model", "max_model_len": 131072}]})


async def complete(request: web.Request) -> web.Response:
    await request.read()
    message = {"role": "assistant", "content": EXTRACTION}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 2000, "completion_tokens": 200, "total_tokens": 2200}
    return web.json_response(
        {"id": "x", "object": "chat.completion", "model": "reader", "choices": [choice], "usage": usage}
    )


async def main() -> None:
    app = web.Application(client_max_size=64_000_000)
    app.router.add_post("/search", search)
    app.router.add_get("/{kind:small|slow|big}/{number}", site)
    app.router.add_get("/v1/models", models)
    app.router.add_post("/v1/chat/completions", complete)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    listener = web.TCPSite(runner, "127.0.0.1", 0, backlog=4096)
    await listener.start()
    print(f"world at http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
