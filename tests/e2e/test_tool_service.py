"""The tool proxy as a process of its own: what it serves, who uses it, and its death in the middle of a call."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client.parser import text_string_to_metric_families

QUESTION = "Which function of the heapq module merges several sorted inputs into one sorted iterator?"
TOKEN = "z8Yservice"


def _fetch(url: str, body: Any, headers: dict[str, str]) -> tuple[int, bytes]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


async def fetch(url: str, body: Any = None, **headers: str) -> tuple[int, bytes]:
    return await asyncio.to_thread(_fetch, url, body, headers)


async def serving(program, *arguments: str):
    """`tools serve` on a free port: the program, its address, and that of its metrics."""
    program.settings.setdefault("LITERESEARCHER_METRICS__PORT", "0")
    running = await program.start("tools", "serve", "--port", "0", *arguments)
    metrics = (await running.hears("metrics on ")).split()[-1]
    address = (await running.hears("listening on ")).split()[-1]
    return running, address, metrics


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(text)
    return {(one.name, tuple(sorted(one.labels.items()))): one.value for family in families for one in family.samples}


class SlowSearch:
    """A search provider in Serper's form on loopback; it answers nothing until it is let."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.let = asyncio.Event()
        self.requests = 0
        app = web.Application()
        app.router.add_post("/search", self._answer)
        self.server = TestServer(app)

    async def _answer(self, request: web.Request) -> web.Response:
        self.requests += 1
        self.asked.set()
        await self.let.wait()
        found = {
            "title": "heapq.merge",
            "link": "pydoc:heapq.merge",
            "snippet": "Merge sorted inputs into one iterator.",
        }
        return web.json_response({"organic": [found]})


@pytest.fixture
async def slow_search() -> AsyncIterator[SlowSearch]:
    slow = SlowSearch()
    await slow.server.start_server()
    yield slow
    slow.let.set()
    await slow.server.close()


async def test_metrics_are_on_a_port_of_their_own_and_move(program):
    running, address, metrics = await serving(program)
    assert (await fetch(address + "/metrics"))[0] == 404
    status, before = await fetch(metrics)
    assert status == 200
    assert (await fetch(metrics.removesuffix("/metrics") + "/v1/tools"))[0] == 404
    status, _ = await fetch(address + "/v1/tools/search", {"query": ["merge sorted inputs", "zzzz qqqq"]})
    assert status == 200
    await fetch(address + "/v1/tools/call", {"name": "browse", "arguments": {}})
    _, after = await fetch(metrics)
    first, then = samples(before.decode()), samples(after.decode())

    def moved(name: str, **labels: str) -> float:
        key = (name, tuple(sorted(labels.items())))
        return then.get(key, 0.0) - first.get(key, 0.0)

    assert moved("literesearcher_tools_calls_total", tool="search", outcome="ok") == 1
    assert moved("literesearcher_tools_calls_total", tool="unknown", outcome="refused") == 1
    assert moved("literesearcher_tools_items_total", kind="search", status="found") == 1
    assert moved("literesearcher_tools_items_total", kind="search", status="none") == 1
    assert moved("literesearcher_tools_provider_requests_total", provider="local", outcome="ok") >= 1
    assert then[("process_resident_memory_bytes", ())] > 0
    assert "merge sorted" not in after.decode()
    running.signal(signal.SIGTERM)
    ended = await running.ends()
    assert ended.code == 0, ended.err
    assert "Traceback" not in ended.err


async def test_promtool_finds_nothing_wrong_with_the_metrics(program):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool here: apt-get install prometheus brings it")
    running, address, metrics = await serving(program)
    await fetch(address + "/v1/tools/search", {"query": ["merge sorted inputs"]})
    _, text = await fetch(metrics)
    checked = await asyncio.to_thread(
        subprocess.run, [promtool, "check", "metrics"], input=text, capture_output=True, check=False
    )
    assert checked.returncode == 0, (checked.stdout + checked.stderr).decode()
    running.signal(signal.SIGTERM)
    await running.ends()


async def test_a_metrics_port_that_is_taken_ends_each_program_with_one_line(program):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        program.settings["LITERESEARCHER_METRICS__PORT"] = str(taken.getsockname()[1])
        for command in (["tools", "serve", "--port", "0"], ["serve", "--port", "0"], ["orchestrator"]):
            ended = await program.run(*command)
            assert ended.code == 2
            (line,) = ended.err.splitlines()
            assert "is in use" in line
            assert "LITERESEARCHER_METRICS__PORT" in line


async def test_serve_has_metrics_where_a_port_is_set(program):
    program.settings["LITERESEARCHER_METRICS__PORT"] = "0"
    running = await program.start("serve", "--port", "0")
    metrics = (await running.hears("metrics on ")).split()[-1]
    await running.hears("listening on ")
    status, text = await fetch(metrics)
    assert status == 200
    assert "# TYPE literesearcher_tools_calls_total counter" in text.decode()
    running.signal(signal.SIGTERM)
    assert (await running.ends()).code == 0


async def test_beyond_loopback_it_wants_a_token(program):
    ended = await program.run("tools", "serve", "--host", "0.0.0.0", "--port", "0")
    assert ended.code == 2
    (line,) = ended.err.splitlines()
    assert "LITERESEARCHER_TOOLS__TOKEN" in line


async def test_programs_use_the_proxy_that_a_url_names(program, tmp_path):
    program.settings["LITERESEARCHER_TOOLS__TOKEN"] = TOKEN
    # All processes may be given one environment: the proxy itself does not ask the proxy.
    program.settings["LITERESEARCHER_TOOLS__URL"] = "http://127.0.0.1:9"
    running, address, metrics = await serving(program)
    assert (await fetch(address + "/v1/tools"))[0] == 401
    _, body = await fetch(address + "/v1/tools", Authorization=f"Bearer {TOKEN}")
    assert json.loads(body)["fidelity"] == "improved"

    # No corpus here, and no provider could be wired.
    program.settings["LITERESEARCHER_DATA_DIR"] = str(tmp_path / "elsewhere")
    program.settings["LITERESEARCHER_TOOLS__SEARCH"] = '["brave"]'
    program.settings["LITERESEARCHER_TOOLS__URL"] = address
    found = await program.run("tools", "search", "merge sorted inputs")
    assert found.code == 0, found.err
    assert "](pydoc:heapq.merge)" in found.out
    assert "local: ok" in found.err
    answered = await program.run("research", "--json", QUESTION)
    assert answered.code == 0, answered.err
    assert "heapq.merge" in json.loads(answered.out)["output"]["text"]
    assert not (tmp_path / "elsewhere" / "corpus").exists()
    doctor = await program.run("doctor", "--no-questions")
    assert f"by the proxy {address}: search, visit; fidelity improved" in doctor.out
    assert "corpus  " not in doctor.out
    _, text = await fetch(metrics)
    assert samples(text.decode())[("literesearcher_tools_calls_total", (("outcome", "ok"), ("tool", "search")))] >= 2

    program.settings["LITERESEARCHER_TOOLS__TOKEN"] = "wrong"
    refused = await program.run("tools", "search", "merge sorted inputs")
    assert refused.code == 1
    (line,) = refused.err.splitlines()
    assert "LITERESEARCHER_TOOLS__TOKEN" in line
    doctor = await program.run("doctor", "--no-questions")
    assert doctor.code == 1
    assert "!!  tools" in doctor.out
    assert "wrong" not in doctor.out + refused.err

    program.settings["LITERESEARCHER_TOOLS__TOKEN"] = TOKEN
    running.signal(signal.SIGTERM)
    assert (await running.ends()).code == 0
    away = await program.run("tools", "visit", "pydoc:heapq.merge", "--goal", "g")
    assert away.code == 1
    assert "cannot be reached" in away.err
    assert "Traceback" not in away.err


async def test_a_job_goes_on_when_the_proxy_is_killed_in_mid_call_and_comes_back(program, slow_search):
    program.settings["LITERESEARCHER_SERPER__API_KEY"] = "sk-test"
    program.settings["LITERESEARCHER_SERPER__BASE_URL"] = f"http://127.0.0.1:{slow_search.server.port}"
    program.settings["LITERESEARCHER_TOOLS__PAGES"] = '["local"]'
    proxy, address, _ = await serving(program)
    program.settings["LITERESEARCHER_TOOLS__URL"] = address
    del program.settings["LITERESEARCHER_METRICS__PORT"]
    gateway = await program.start("gateway", "--port", "0")
    front = (await gateway.hears("listening on ")).split()[-1]
    worker = await program.start("orchestrator")
    _, body = await fetch(f"{front}/v1/research", {"input": QUESTION})
    link = front + json.loads(body)["links"]["self"]
    async with asyncio.timeout(60):
        await slow_search.asked.wait()
    proxy.signal(signal.SIGKILL)
    await proxy.ends()
    slow_search.let.set()
    program.settings["LITERESEARCHER_METRICS__PORT"] = "0"
    again = await program.start("tools", "serve", "--port", address.rpartition(":")[2])
    await again.hears("listening on ")
    async with asyncio.timeout(120):
        while True:
            job = json.loads((await fetch(link))[1])
            if job["status"] in ("completed", "incomplete", "failed", "cancelled"):
                break
            await asyncio.sleep(0.1)
    assert job["status"] == "completed", job
    assert "heapq.merge" in job["output"]["text"]
    assert slow_search.requests >= 2
    for running in (worker, gateway, again):
        running.signal(signal.SIGTERM)
        ended = await running.ends()
        assert ended.code == 0, ended.err
        assert "Traceback" not in ended.err


async def test_a_call_from_the_terminal_says_where_it_came_from(program):
    found = await program.run("tools", "search", "merge sorted inputs", "zzzz qqqq")
    assert found.code == 0, found.err
    assert "\n=======\nNo results found for 'zzzz qqqq'.\n" in found.out
    lines = found.err.splitlines()
    assert lines[0].startswith("ok  merge sorted inputs: found (10), local, ")
    assert lines[1].startswith("    local: ok, ")
    assert "zzzz qqqq: none (0)" in found.err
    assert lines[-1].startswith("all in ")
    assert lines[-1].endswith(", $0")

    read = await program.run("tools", "visit", "pydoc:heapq.merge", "file:///etc/passwd", "--goal", "what it merges")
    assert read.code == 1
    assert read.out.startswith("The useful information in pydoc:heapq.merge for user goal what it merges as follows: ")
    assert "!!  file:///etc/passwd: refused" in read.err
    whole = await program.run("tools", "visit", "pydoc:heapq.merge", "--goal", "what it merges", "--json")
    assert whole.err == ""
    result = json.loads(whole.out)
    assert result["text"] == read.out.partition("\n=======\n")[0].rstrip()
    assert result["items"][0]["tried"][0]["provider"] == "local"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["search"], "Missing argument"),
        (["search", "  "], "at least one non-empty string in 'query'"),
        (["search", *["q"] * 200], "at most 50 strings in 'query'"),
        (["search", "q" * 4001], "more than 4000 characters"),
        (["search", "q", "--published-after", "yesterday"], "sources.published_after must be a day, YYYY-MM-DD"),
        (["search", "q", "--timeout", "0"], "timeout_seconds must be a number above 0"),
        (["search", "q", "--timeout", "nan"], "timeout_seconds must be a number above 0"),
        (["search", "q", "--cache", "always"], "--cache"),
        (["visit", "pydoc:heapq"], "--goal"),
        (["visit", "x" * 100_000, "x" * 100_000, "x" * 100_000, "--goal", "g"], "more than 250000 characters"),
        (["browse", "x"], "No such command"),
    ],
    ids=lambda value: " ".join(value)[:30] if isinstance(value, list) else None,
)
async def test_bad_input_in_the_terminal_is_told_in_one_line(program, arguments, said):
    ended = await program.run("tools", *arguments)
    assert (ended.code, ended.out) == (2, "")
    (line,) = ended.err.splitlines()
    assert said in line
    assert len(line) < 500


async def test_bytes_that_are_no_text_are_searched_for_as_what_can_be_read(program):
    ended = await program.run("tools", "search", b"heapq \xff\xfe merge")
    assert ended.code == 0, ended.err
    assert "heapq.merge" in ended.out
