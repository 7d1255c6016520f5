"""The programs that serve: together in one process, and as processes of their own on one store."""

from __future__ import annotations

import asyncio
import json
import signal
import urllib.error
import urllib.request
from typing import Any

QUESTION = "Which function of the heapq module merges several sorted inputs into one sorted iterator?"


def _ask(url: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, Any, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json", **(headers or {})})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read() or b"null"), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"null"), error.headers


async def ask(url: str, body: Any = None, **headers: str) -> tuple[int, Any, Any]:
    return await asyncio.to_thread(_ask, url, body, headers)


async def ended_job(url: str, **headers: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            _, job, _ = await ask(url, **headers)
            if job["status"] in ("completed", "incomplete", "failed", "cancelled"):
                return job
            await asyncio.sleep(0.05)


async def test_serve_answers_a_question_over_http_and_drains_on_sigterm(program):
    running = await program.start("serve", "--port", "0")
    address = (await running.hears("listening on ")).split()[-1]
    assert "no key is needed" in await running.hears("key is needed")
    status, job, headers = await ask(f"{address}/v1/research", {"input": QUESTION})
    assert status == 202
    assert headers["Location"] == job["links"]["self"]
    job = await ended_job(address + job["links"]["self"])
    assert job["status"] == "completed"
    assert "heapq.merge" in job["output"]["text"]
    status, events, _ = await ask(address + job["links"]["events"], Accept="application/json")
    assert status == 200
    assert "job.ended" in json.dumps(events)
    _, models, _ = await ask(f"{address}/v1/models")
    assert "extractive" in json.dumps(models)
    running.signal(signal.SIGTERM)
    ended = await running.ends()
    assert ended.code == 0, ended.err
    assert "Traceback" not in ended.err


async def test_a_key_made_beside_a_running_server_is_asked_for_at_once(program):
    running = await program.start("serve", "--port", "0")
    address = (await running.hears("listening on ")).split()[-1]
    made = await program.run("keys", "create", "ada")
    token = made.out.strip()
    assert token.startswith("lr_")
    assert (await ask(f"{address}/v1/research", {"input": QUESTION}))[0] == 401
    status, job, _ = await ask(f"{address}/v1/research", {"input": QUESTION}, Authorization=f"Bearer {token}")
    assert status == 202
    listed = await program.run("keys", "list")
    assert "ada" in listed.out
    assert token not in listed.out
    revoked = await program.run("keys", "revoke", listed.out.split()[0])
    assert revoked.code == 0
    assert (await ask(address + job["links"]["self"], Authorization=f"Bearer {token}"))[0] == 401
    running.signal(signal.SIGTERM)
    assert (await running.ends()).code == 0


async def test_gateway_and_orchestrator_work_as_processes_of_their_own(program):
    program.settings["LITERESEARCHER_ORCHESTRATOR__POLL_SECONDS"] = "0.1"
    gateway = await program.start("gateway", "--port", "0")
    address = (await gateway.hears("listening on ")).split()[-1]
    _, job, _ = await ask(f"{address}/v1/research", {"input": QUESTION})
    assert job["status"] == "queued"
    worker = await program.start("orchestrator")
    job = await ended_job(address + job["links"]["self"])
    assert job["status"] == "completed"
    # A question on the command line beside both, on the same store and corpus.
    beside = await program.run("research", "--json", QUESTION)
    assert beside.code == 0, beside.err
    for running in (worker, gateway):
        running.signal(signal.SIGTERM)
        ended = await running.ends()
        assert ended.code == 0, ended.err


async def test_processes_share_postgresql_and_wake_each_other_over_redis(program, postgres_url: str, redis_url: str):
    program.settings["LITERESEARCHER_STORE__URL"] = postgres_url
    program.settings["LITERESEARCHER_REDIS__URL"] = redis_url
    # So rarely does a worker look by itself that only the bell can have told it in time.
    program.settings["LITERESEARCHER_ORCHESTRATOR__POLL_SECONDS"] = "60"
    early = await program.run("gateway", "--port", "0")
    assert early.code == 2
    assert "literesearcher store migrate" in early.err
    assert (await program.run("store", "migrate")).code == 0
    gateway = await program.start("gateway", "--port", "0")
    address = (await gateway.hears("listening on ")).split()[-1]
    workers = [await program.start("orchestrator") for _ in range(2)]
    for worker in workers:
        await worker.hears("taking jobs")
    jobs = [(await ask(f"{address}/v1/research", {"input": QUESTION}))[1] for _ in range(6)]
    for job in jobs:
        assert (await ended_job(address + job["links"]["self"]))["status"] == "completed"
    for running in (*workers, gateway):
        running.signal(signal.SIGTERM)
        ended = await running.ends()
        assert ended.code == 0, ended.err
        assert "Traceback" not in ended.err


async def test_the_tools_answer_alone(program):
    found = await program.run("tools", "search", "heapq merge sorted inputs")
    assert found.code == 0, found.err
    assert "A Google search for 'heapq merge sorted inputs' found" in found.out
    read = await program.run("tools", "visit", "pydoc:heapq.merge", "--goal", "what it merges")
    assert read.code == 0, read.err
    assert read.out.startswith("The useful information in pydoc:heapq.merge for user goal what it merges as follows:")
    refused = await program.run("tools", "visit", "file:///etc/passwd", "--goal", "root")
    assert "root:" not in refused.out


async def test_the_store_says_how_it_stands(program):
    assert (await program.run("store", "status")).code == 1
    assert not (program.data_dir / "jobs.sqlite3").exists()
    assert (await program.run("store", "migrate")).code == 0
    status = await program.run("store", "status")
    assert status.code == 0
    assert "jobs.sqlite3" in status.out
