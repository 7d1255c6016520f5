"""Creating, finding, listing, cancelling and deleting jobs over HTTP."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from literesearcher.gateway.documents import JobList, JobObject
from literesearcher.jobs.live import QUEUE, inbox_topic
from literesearcher.testing.journal_events import attempt, ended
from literesearcher.testing.served_gateway import PATIENCE, QUESTION, Served


class TestCreate:
    async def test_accepted_after_commit_with_location_and_job(self, served: Served) -> None:
        async with served.live.listen(QUEUE) as bell:
            status, headers, job = await served.call(
                "POST", "/v1/research", json={"input": QUESTION, "metadata": {"a": "b"}, "priority": 5}
            )
            assert await bell.wait(PATIENCE), "an orchestrator must be woken"
        assert status == 202
        assert headers["Location"] == f"/v1/research/{job['id']}" == job["links"]["self"]
        JobObject.model_validate(job)
        assert (job["status"], job["input"], job["metadata"], job["priority"]) == ("queued", QUESTION, {"a": "b"}, 5)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", job["created_at"])
        stored = await served.store.get("default", job["id"])
        assert stored.input == QUESTION
        assert (await served.call("GET", headers["Location"]))[2] == job

    async def test_wishes_reach_the_journal(self, served: Served) -> None:
        _, _, job = await served.call(
            "POST",
            "/v1/research",
            json={
                "input": "q",
                "limits": {"max_turns": 3, "timeout_seconds": 60, "max_new_tokens": 77},
                "sampling": {"temperature": 0.1, "seed": 4, "logprobs": True},
                "profile": "training",
                "question_form": "label",
                "at_context_limit": "compress",
            },
        )
        [created] = await served.store.read(job["id"])
        data = created.payload
        assert (data["limits"]["max_turns"], data["limits"]["max_new_tokens"]) == (3, 77)
        assert (data["sampling"]["temperature"], data["sampling"]["seed"]) == (0.1, 4)
        assert data["sampling"]["logprobs"] is True
        assert (data["profile"], data["question_form"], data["at_context_limit"]) == ("training", "label", "compress")

    @pytest.mark.parametrize(
        "question", ["Wer war's?", "谁发现了青霉素？", 'a\nb\tc "quoted" $HOME `x` \\ é', "\U0001f600" * 100]
    )
    async def test_the_question_arrives_as_written(self, served: Served, question: str) -> None:
        job_id = await served.create(question)
        assert (await served.call("GET", f"/v1/research/{job_id}"))[2]["input"] == question

    async def test_a_conversation(self, served: Served) -> None:
        messages = [
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "two"},
            {"role": "user", "content": "three"},
        ]
        status, _, job = await served.call("POST", "/v1/research", json={"messages": messages})
        assert status == 202
        [created] = await served.store.read(job["id"])
        assert created.payload["messages"] == messages


class TestIdempotency:
    async def test_the_same_body_gives_the_same_job(self, served: Served) -> None:
        first = await served.call(
            "POST", "/v1/research", data=b'{"input":"q","priority":1}', headers=_json({"Idempotency-Key": "k"})
        )
        again = await served.call(
            "POST", "/v1/research", data=b'{ "priority": 1, "input": "q" }', headers=_json({"Idempotency-Key": "k"})
        )
        assert first[0] == again[0] == 202
        assert first[2] == again[2]
        assert "Idempotency-Replayed" not in first[1]
        assert again[1]["Idempotency-Replayed"] == "true"
        assert again[1]["Location"] == first[1]["Location"]

    async def test_another_body_is_refused_and_creates_nothing(self, served: Served) -> None:
        await served.create(headers={"Idempotency-Key": "k"})
        status, headers, problem = await served.call(
            "POST", "/v1/research", json={"input": "another"}, headers={"Idempotency-Key": "k"}
        )
        assert status == 422
        assert problem["code"] == "idempotency_key_reused"
        assert headers["content-type"] == "application/problem+json"
        assert len((await served.call("GET", "/v1/research"))[2]["data"]) == 1

    async def test_many_at_once_create_one_job(self, served: Served) -> None:
        answers = await asyncio.gather(
            *(
                served.call("POST", "/v1/research", json={"input": "q"}, headers={"Idempotency-Key": "race"})
                for _ in range(30)
            )
        )
        assert {answer[0] for answer in answers} == {202}
        assert len({answer[2]["id"] for answer in answers}) == 1
        assert sum("Idempotency-Replayed" not in answer[1] for answer in answers) == 1
        assert len((await served.call("GET", "/v1/research"))[2]["data"]) == 1

    async def test_without_a_key_each_post_is_a_job(self, served: Served) -> None:
        assert await served.create() != await served.create()


class TestPreferWait:
    async def test_the_end_in_time_is_200_with_the_answer(self, served: Served) -> None:
        asking = asyncio.ensure_future(
            served.call("POST", "/v1/research", json={"input": "q"}, headers={"Prefer": "wait=60"})
        )
        job_id = await _first_job(served)
        await served.append(job_id, attempt(), ended("the answer"))
        status, headers, job = await asyncio.wait_for(asking, PATIENCE)
        assert status == 200
        assert headers["Preference-Applied"] == "wait=60"
        assert job["output"]["text"] == "the answer"
        assert headers["Location"] == f"/v1/research/{job_id}"

    async def test_an_end_without_a_bell_is_found_by_looking(self, served: Served) -> None:
        asking = asyncio.ensure_future(
            served.call("POST", "/v1/research", json={"input": "q"}, headers={"Prefer": "wait=60"})
        )
        job_id = await _first_job(served)
        await served.append(job_id, attempt(), ended(), ring=False)
        assert (await asyncio.wait_for(asking, PATIENCE))[0] == 200

    async def test_time_up_is_202(self, served: Served) -> None:
        status, headers, job = await served.call(
            "POST", "/v1/research", json={"input": "q"}, headers={"Prefer": "respond-async, wait=0"}
        )
        assert (status, headers["Preference-Applied"], job["status"]) == (202, "wait=0", "queued")

    async def test_a_preference_that_cannot_be_read_is_left_out_of_account(self, served: Served) -> None:
        status, headers, _ = await served.call(
            "POST", "/v1/research", json={"input": "q"}, headers={"Prefer": "wait=soon"}
        )
        assert status == 202
        assert "Preference-Applied" not in headers


class TestEnd:
    async def test_an_ended_job_shows_answer_citations_usage_and_engine(self, served: Served) -> None:
        job_id = await served.create()
        await served.append(job_id, attempt(), ended("heapq.merge"))
        _, _, job = await served.call("GET", f"/v1/research/{job_id}")
        JobObject.model_validate(job)
        assert (job["status"], job["stop_reason"]) == ("completed", "answer")
        assert job["output"]["text"] == "heapq.merge"
        assert job["output"]["citations"] == [
            {"url": "pydoc:heapq.merge", "title": "heapq.merge", "quote": "Merge", "seq": 4}
        ]
        assert job["usage"]["turns"] == 1
        assert job["error"] is None
        assert job["engine"] == {"kind": "extractive", "model": "extractive", "language_model": False}
        assert job["started_at"] <= job["ended_at"]

    async def test_the_engine_is_that_of_the_last_attempt(self, served: Served) -> None:
        job_id = await served.create()
        await served.append(job_id, attempt("extractive"))
        await served.take_over(job_id)
        await served.append(job_id, attempt("openai"))
        _, _, job = await served.call("GET", f"/v1/research/{job_id}")
        assert job["engine"] == {"kind": "openai", "model": "openai", "language_model": True}
        assert job["attempt"] == 2

    async def test_looking_a_job_up_reads_no_journal(self, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        """A long journal is megabytes, and jobs are asked for again and again."""
        job_id = await served.create()
        await served.append(job_id, attempt("extractive"))
        await served.take_over(job_id)
        await served.append(job_id, attempt("openai"))
        rows: list[int] = []
        read = served.store.read

        async def counted(*arguments: Any, **options: Any) -> Any:
            found = await read(*arguments, **options)
            rows.append(len(found))
            return found

        async def newest(job_id: str, event_type: str) -> Any:
            return next(row for row in reversed(await read(job_id)) if row.type == event_type)

        monkeypatch.setattr(served.store, "read", counted)
        monkeypatch.setattr(served.store, "newest", newest)
        assert (await served.call("GET", f"/v1/research/{job_id}"))[2]["engine"]["kind"] == "openai"
        assert rows == []


class TestList:
    async def test_pages_newest_first_without_a_job_missing_or_twice(self, served: Served) -> None:
        made = [await served.create(f"question {number}") for number in range(7)]
        seen: list[str] = []
        cursor: str | None = None
        while True:
            params: dict[str, Any] = {"limit": 3} | ({"cursor": cursor} if cursor else {})
            status, _, page = await served.call("GET", "/v1/research", params=params)
            assert status == 200
            JobList.model_validate(page)
            assert len(page["data"]) <= 3
            seen += [job["id"] for job in page["data"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert seen == made[::-1]

    async def test_filter_by_status(self, served: Served) -> None:
        done, waiting = await served.create("done"), await served.create("waiting")
        await served.append(done, attempt(), ended())
        for status, expected in (("completed", [done]), ("queued", [waiting]), ("failed", [])):
            _, _, page = await served.call("GET", "/v1/research", params={"status": status})
            assert [job["id"] for job in page["data"]] == expected

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("limit=0", "limit"),
            ("limit=101", "limit"),
            ("limit=x", "limit"),
            ("status=odd", "status"),
            ("cursor=garbage", "cursor"),
            ("cursor=%00%ff", "cursor"),
            ("cursor=" + "x" * 600, "cursor"),
        ],
    )
    async def test_bad_queries_name_the_field(self, served: Served, query: str, field: str) -> None:
        status, _, problem = await served.call("GET", f"/v1/research?{query}")
        assert (status, problem["field"]) == (422, field)


class TestCancelAndDelete:
    async def test_a_job_that_nobody_holds_is_cancelled_at_once(self, served: Served) -> None:
        job_id = await served.create()
        status, _, job = await served.call("POST", f"/v1/research/{job_id}/cancel")
        assert (status, job["status"], job["stop_reason"]) == (200, "cancelled", "cancelled")

    async def test_a_running_job_gets_a_letter_and_its_holder_a_bell(self, served: Served) -> None:
        job_id = await served.create()
        await served.append(job_id, attempt())
        async with served.live.listen(inbox_topic(job_id)) as bell:
            status, _, job = await served.call("POST", f"/v1/research/{job_id}/cancel", json={})
            assert await bell.wait(PATIENCE)
        assert (status, job["status"]) == (202, "cancelling")

    async def test_cancelling_an_ended_job_changes_nothing(self, served: Served) -> None:
        job_id = await served.create()
        await served.append(job_id, attempt(), ended())
        before = (await served.call("GET", f"/v1/research/{job_id}"))[2]
        status, _, job = await served.call("POST", f"/v1/research/{job_id}/cancel")
        assert status == 200
        assert job == before

    async def test_delete_removes_it_and_fences_its_holder_out(self, served: Served) -> None:
        job_id = await served.create()
        await served.append(job_id, attempt())
        async with served.live.listen(inbox_topic(job_id)) as bell:
            status, _, body = await served.call("DELETE", f"/v1/research/{job_id}")
            assert await bell.wait(PATIENCE)
        assert (status, body) == (204, None)
        for method, path in (("GET", ""), ("GET", "/events"), ("POST", "/cancel"), ("DELETE", "")):
            assert (await served.call(method, f"/v1/research/{job_id}{path}"))[0] == 404
        assert (await served.call("GET", "/v1/research"))[2]["data"] == []

    async def test_an_idempotency_key_of_a_deleted_job_creates_anew(self, served: Served) -> None:
        first = await served.create(headers={"Idempotency-Key": "k"})
        await served.call("DELETE", f"/v1/research/{first}")
        assert await served.create(headers={"Idempotency-Key": "k"}) != first


class TestService:
    async def test_models_say_plainly_that_there_is_no_language_model(self, served: Served) -> None:
        status, _, models = await served.call("GET", "/v1/models")
        [model] = models["data"]
        assert status == 200
        assert model["language_model"] is False
        assert "no language model" in model["description"].lower()

    async def test_health(self, served: Served) -> None:
        assert (await served.call("GET", "/livez"))[0] == 200
        assert (await served.call("GET", "/readyz"))[0] == 200

    async def test_head_and_options(self, served: Served) -> None:
        job_id = await served.create()
        for path in ("/v1/research", f"/v1/research/{job_id}", f"/v1/research/{job_id}/events", "/livez"):
            async with served.session.head(served.base + path) as answer:
                assert answer.status == 200
                assert await answer.read() == b""
        status, headers, _ = await served.call("OPTIONS", "/v1/research")
        assert (status, headers["Allow"]) == (204, "GET, HEAD, OPTIONS, POST")
        assert not [name for name in headers if name.lower().startswith("access-control-")]
        assert (await served.call("OPTIONS", "/v1/nothing"))[0] == 404

    async def test_a_wrong_method_says_which_are_right(self, served: Served) -> None:
        status, headers, problem = await served.call("PUT", "/v1/research", json={})
        assert (status, headers["Allow"], problem["code"]) == (
            405,
            "GET, HEAD, OPTIONS, POST",
            "method_not_allowed",
        )

    async def test_answers_are_not_stored_nor_sniffed_and_name_no_server(self, served: Served) -> None:
        for path in ("/v1/research", "/v1/research/unknown", "/nowhere", "/livez"):
            _, headers, _ = await served.call("GET", path)
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Cache-Control"] == "no-store"
            assert "Server" not in headers


def _json(headers: dict[str, str]) -> dict[str, str]:
    return {"Content-Type": "application/json"} | headers


async def _first_job(served: Served) -> str:
    async with asyncio.timeout(PATIENCE):
        while True:
            page = await served.store.list("default")
            if page.jobs:
                return page.jobs[0].id
            await asyncio.sleep(0.01)
