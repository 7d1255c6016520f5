"""Everything that a client can get wrong has a clear answer, in the form of a problem document."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from literesearcher.gateway.documents import ProblemDocument
from literesearcher.gateway.request_body import MAX_BODY_BYTES
from literesearcher.testing.served_gateway import PATIENCE, Served

pytestmark = pytest.mark.asyncio(loop_scope="module")
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def served(served_once: Served) -> Served:
    """One gateway for all: nothing that is sent here may leave a trace in it."""
    return served_once


async def refused(served: Served, body: bytes, headers: dict[str, str] | None = None) -> dict[str, Any]:
    before = await served.store.list("default", limit=100)
    status, answered, problem = await served.call("POST", "/v1/research", data=body, headers=JSON | (headers or {}))
    assert answered["content-type"] == "application/problem+json"
    ProblemDocument.model_validate(problem)
    assert problem["status"] == status
    assert problem["instance"] == "/v1/research"
    assert await served.store.list("default", limit=100) == before, "nothing may come of it"
    found: dict[str, Any] = problem
    return found


def wish(**fields: Any) -> bytes:
    return json.dumps({"input": "q"} | fields).encode()


class TestBytes:
    @pytest.mark.parametrize(
        ("body", "code", "word"),
        [
            (b'{"input": "caf\xe9"}', "invalid_utf8", "byte 14"),
            (b'\xff\xfe{\x00"\x00', "invalid_utf8", "byte 0"),
            ('{"input": "q"}'.encode("utf-16-le"), "invalid_json", "column"),
            (b"\xef\xbb\xbf{}", "invalid_json", "column"),
            (b"", "invalid_json", "column"),
            (b'{"input": "q"', "invalid_json", "column 14"),
            (b'{"input": "q",}', "invalid_json", "column"),
            (b"{'input': 'q'}", "invalid_json", "column"),
            (b'{"priority": NaN, "input": "q"}', "invalid_json", "column"),
            (b'{"limits": {"timeout_seconds": 1e400}, "input": "q"}', "invalid_json", "column"),
            (b'{"input": "\\ud800"}', "invalid_json", "surrogate"),
            (b'{"input": "a\x01b"}', "invalid_json", "column"),
            (b"[" * 100_000, "invalid_json", "column"),
            (b'{"a":' * 100_000, "invalid_json", "column"),
        ],
    )
    async def test_what_is_no_json_is_400_with_its_place(
        self, served: Served, body: bytes, code: str, word: str
    ) -> None:
        problem = await refused(served, body)
        assert (problem["status"], problem["code"]) == (400, code)
        assert word in problem["detail"]

    @pytest.mark.parametrize("chunked", [False, True])
    @pytest.mark.parametrize("size", [MAX_BODY_BYTES + 1, 12 * 1024 * 1024])
    async def test_too_long_a_body_is_413(self, served: Served, chunked: bool, size: int) -> None:
        async def pieces() -> Any:
            for start in range(0, size, 65536):
                yield b"x" * min(65536, size - start)

        status, _, problem = await served.call(
            "POST", "/v1/research", data=pieces() if chunked else b"x" * size, headers=JSON
        )
        assert (status, problem["code"]) == (413, "body_too_large")
        assert (await served.call("GET", "/livez"))[0] == 200

    async def test_a_question_of_a_megabyte_is_told_how_long_it_may_be(self, served: Served) -> None:
        problem = await refused(served, wish(input="x" * 1_000_000))
        assert (problem["status"], problem["field"]) == (422, "input")
        assert "100,000" in problem["detail"] or "100000" in problem["detail"]

    async def test_the_longest_question_fits_however_it_is_escaped(self, served: Served) -> None:
        body = json.dumps({"input": "\U0001f600" * 100_000}).encode()
        status, _, job = await served.call("POST", "/v1/research", data=body, headers=JSON)
        assert status == 202, job
        assert job["input"] == "\U0001f600" * 100_000

    async def test_a_body_that_does_not_arrive_is_dropped_with_its_client(self, served: Served) -> None:
        before = await served.store.list("default", limit=100)
        _reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(
            b"POST /v1/research HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b'Content-Length: 100\r\n\r\n{"input"'
        )
        await writer.drain()
        await asyncio.sleep(0.1)
        writer.close()
        assert (await served.call("GET", "/livez"))[0] == 200
        assert await served.store.list("default", limit=100) == before


class TestFields:
    @pytest.mark.parametrize(
        ("body", "field"),
        [
            (b"{}", None),
            (b"[]", None),
            (b'"q"', None),
            (b"null", None),
            (wish(messages=[{"role": "user", "content": "q"}]), None),
            (wish(input=""), "input"),
            (wish(input=" \n\t "), "input"),
            (wish(input=7), "input"),
            (wish(input=["q"]), "input"),
            (wish(input="a\x00b"), "input"),
            (wish(inputs="q"), "inputs"),
            (wish(**{"a.b\n": 1}), "a.b\n"),
            (wish(limits={"max_turn": 1}), "limits.max_turn"),
            (wish(limits={"max_turns": 0}), "limits.max_turns"),
            (wish(limits={"max_turns": 1001}), "limits.max_turns"),
            (wish(limits={"max_turns": "5"}), "limits.max_turns"),
            (wish(limits={"max_turns": 5.5}), "limits.max_turns"),
            (wish(limits={"max_turns": True}), "limits.max_turns"),
            (wish(limits={"max_turns": 10**30}), "limits.max_turns"),
            (wish(limits={"max_tool_calls": -1}), "limits.max_tool_calls"),
            (wish(limits={"max_tokens": 0}), "limits.max_tokens"),
            (wish(limits={"timeout_seconds": 0}), "limits.timeout_seconds"),
            (wish(limits={"timeout_seconds": 604_801}), "limits.timeout_seconds"),
            (wish(limits={"timeout_seconds": 1e300}), "limits.timeout_seconds"),
            (wish(limits={"max_new_tokens": 0}), "limits.max_new_tokens"),
            (wish(limits={"context_length": 100}), "limits.context_length"),
            (wish(limits=[]), "limits"),
            (wish(sampling={"temperature": -0.1}), "sampling.temperature"),
            (wish(sampling={"temperature": 2.1}), "sampling.temperature"),
            (wish(sampling={"top_p": 0}), "sampling.top_p"),
            (wish(sampling={"min_p": 1.5}), "sampling.min_p"),
            (wish(sampling={"repetition_penalty": 0}), "sampling.repetition_penalty"),
            (wish(sampling={"seed": -1}), "sampling.seed"),
            (wish(sampling={"stop": ["x"]}), "sampling.stop"),
            (wish(profile="other"), "profile"),
            (wish(question_form=""), "question_form"),
            (wish(at_context_limit=None, x=1), "x"),
            (wish(priority=101), "priority"),
            (wish(priority=-101), "priority"),
            (wish(metadata={"a": 1}), "metadata.a"),
            (wish(metadata={str(n): "" for n in range(17)}), "metadata"),
            (wish(metadata={"a": "x" * 513}), "metadata.a"),
            (wish(metadata={"a": "x\x00"}), "metadata.a"),
            (wish(metadata={"": "x"}), "metadata."),
            (wish(metadata=[]), "metadata"),
            (b'{"messages": []}', "messages"),
            (b'{"messages": [{"role": "tool", "content": "x"}]}', "messages.0.role"),
            (b'{"messages": [{"role": "user"}]}', "messages.0.content"),
            (b'{"messages": [{"role": "user", "content": "x", "name": "y"}]}', "messages.0.name"),
        ],
    )
    async def test_what_is_no_wish_is_422_naming_the_field(
        self, served: Served, body: bytes, field: str | None
    ) -> None:
        problem = await refused(served, body)
        assert problem["status"] == 422
        if field is not None:
            assert problem["field"] == field
            assert field in [one["field"] for one in problem["errors"]]

    async def test_all_wrong_fields_are_named_at_once(self, served: Served) -> None:
        problem = await refused(served, wish(priority=1000, limits={"max_turns": 0}, odd=1))
        assert {one["field"] for one in problem["errors"]} == {"priority", "limits.max_turns", "odd"}

    async def test_thousands_of_unknown_fields_get_a_short_answer(self, served: Served) -> None:
        problem = await refused(served, json.dumps({f"field{n}" * 20: n for n in range(5000)}).encode())
        assert problem["status"] == 422
        assert len(json.dumps(problem)) < 20_000

    async def test_what_was_sent_is_not_sent_back(self, served: Served) -> None:
        problem = await refused(served, wish(priority="s3cret-value", limits={"max_turns": "s3cret-value"}))
        assert "s3cret-value" not in json.dumps(problem)

    @pytest.mark.parametrize("key", ["", "a b", "x" * 256, "\u00e9"])
    async def test_an_idempotency_key_that_cannot_be_kept(self, served: Served, key: str) -> None:
        problem = await refused(served, wish(), {"Idempotency-Key": key})
        assert (problem["status"], problem["field"]) == (422, "Idempotency-Key")


class TestTwice:
    @pytest.mark.parametrize(
        ("body", "field"),
        [
            (b'{"input": "a", "input": "b"}', "input"),
            (b'{"input": "a", "\\u0069nput": "b"}', "input"),
            (b'{"input": "a", "limits": {"max_turns": 1, "max_turns": 1000}}', "max_turns"),
            (b'{"limits": {"max_turns": "no"}, "limits": {}, "input": "a"}', "limits"),
            (b'{"input": "a", "metadata": {"k": "1", "k": "1"}}', "k"),
            (b'{"priority": ' + b"9" * 300 + b', "priority": 1, "input": "a"}', "priority"),
            (b'{"messages": [{"role": "system", "role": "user", "content": "q"}]}', "role"),
        ],
    )
    async def test_a_field_that_is_given_twice_is_named(self, served: Served, body: bytes, field: str) -> None:
        problem = await refused(served, body)
        assert (problem["status"], problem["field"]) == (422, field)

    async def test_the_one_that_is_overridden_may_be_as_deep_as_it_likes(self, served: Served) -> None:
        problem = await refused(served, b'{"input": ' + b"[" * 1000 + b"]" * 1000 + b', "input": "q"}')
        assert problem["status"] in (400, 422)

    @pytest.mark.parametrize(
        ("method", "path", "fields"),
        [
            ("GET", "/v1/research?limit=1&limit=2", ["limit"]),
            ("GET", "/v1/research?page=2&status=queued&offset=1", ["page", "offset"]),
            ("GET", "/v1/research?Limit=1", ["Limit"]),
            ("GET", "/v1/research?=1", [""]),
            ("GET", "/v1/research/{id}?fields=id", ["fields"]),
            ("GET", "/v1/research/{id}/events?after=0&after=1", ["after"]),
            ("GET", "/v1/research/{id}/events?cursor=0", ["cursor"]),
            ("POST", "/v1/research?wait=5", ["wait"]),
            ("POST", "/v1/research/{id}/cancel?force=1", ["force"]),
            ("DELETE", "/v1/research/{id}?force=1", ["force"]),
        ],
    )
    async def test_query_parameters_that_a_route_has_not_or_that_come_twice(
        self, served: Served, method: str, path: str, fields: list[str]
    ) -> None:
        job_id = await served.create()
        options: dict[str, Any] = {"json": {"input": "q"}} if method == "POST" else {}
        status, _, problem = await served.call(method, path.replace("{id}", job_id), **options)
        ProblemDocument.model_validate(problem)
        assert status == 422
        assert [one["field"] for one in problem["errors"]] == fields
        assert (await served.call("GET", f"/v1/research/{job_id}"))[2]["status"] == "queued", "nothing was done"

    async def test_a_stranger_is_not_told_of_parameters(self, served: Served) -> None:
        status, _, _ = await served.call("GET", "/v1/research?x=1", headers={"Authorization": "Bearer nobodys"})
        assert status == 401


class TestTypes:
    @pytest.mark.parametrize(
        "kind",
        [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/json; charset=latin-1",
            "application/problem+json",
            "text/plain, application/json",
            "",
        ],
    )
    @pytest.mark.parametrize("path", ["", "/cancel"])
    async def test_other_types_than_json_are_415(self, served: Served, kind: str, path: str) -> None:
        target = "/v1/research"
        if path:
            target += f"/{await served.create()}{path}"
        raw = await _raw(served, "POST", target, f"Content-Type: {kind}\r\nContent-Length: 13\r\n", b'{"input":"q"}')
        assert raw.startswith(b"HTTP/1.1 415 ")
        assert b"unsupported_media_type" in raw

    async def test_no_type_at_all_is_415(self, served: Served) -> None:
        raw = await _raw(served, "POST", "/v1/research", "Content-Length: 13\r\n", b'{"input":"q"}')
        assert raw.startswith(b"HTTP/1.1 415 ")

    async def test_a_packed_body_is_415(self, served: Served) -> None:
        raw = await _raw(
            served,
            "POST",
            "/v1/research",
            "Content-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 13\r\n",
            b'{"input":"q"}',
        )
        assert raw.startswith(b"HTTP/1.1 415 ")

    @pytest.mark.parametrize(
        "kind", ["application/json", "Application/JSON; charset=UTF-8", 'application/json;charset="utf-8"']
    )
    async def test_json_by_any_of_its_names(self, served: Served, kind: str) -> None:
        status, _, _ = await served.call("POST", "/v1/research", data=wish(), headers={"Content-Type": kind})
        assert status == 202


class TestRoutes:
    @pytest.mark.parametrize(
        "path",
        [
            "/",
            "/v1",
            "/v1/research/",
            "/v2/research",
            "/docs",
            "/redoc",
            "/v1/research/x/y",
            "/v1/research/..%2f..%2fetc",
            "/v1/research/%00",
            "/v1/research/%ff%fe",
            "/v1/research/job_%0d%0aSet-Cookie:%20a=b",
            "/v1/research/" + "a" * 5000,
            "/v1/research/job_00000000000000000000000000000000",
            "/v1/research/JOB_00000000000000000000000000000000",
        ],
    )
    async def test_what_is_not_there_is_a_404_problem(self, served: Served, path: str) -> None:
        raw = await _raw(served, "GET", path)
        head, _, body = raw.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 404 ")
        assert b"application/problem+json" in head
        assert b"set-cookie" not in head.lower()
        problem = json.loads(body)
        ProblemDocument.model_validate(problem)
        assert problem["instance"].isascii()

    async def test_a_head_of_16_kib_is_taken_and_an_endless_one_refused(self, served: Served) -> None:
        assert (await _raw(served, "GET", "/livez", f"X-Long: {'x' * 15_000}\r\n")).startswith(b"HTTP/1.1 200 ")
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * 200_000)
        async with asyncio.timeout(PATIENCE):
            assert (await reader.readline()).startswith(b"HTTP/1.1 400 ")
        writer.close()

    @pytest.mark.parametrize("garbage", [b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/9.9\r\n\r\n"])
    async def test_what_is_no_http_gets_no_further(self, served: Served, garbage: bytes) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(garbage)
        writer.write_eof()
        async with asyncio.timeout(PATIENCE):
            assert not (await reader.read()).startswith(b"HTTP/1.1 2")
        writer.close()


async def _raw(served: Served, method: str, path: str, headers: str = "", body: bytes = b"") -> bytes:
    """The whole answer to a request written byte by byte."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n"
    writer.write(head.encode("latin-1") + body)
    async with asyncio.timeout(PATIENCE):
        answer = await reader.read()
    writer.close()
    return answer
