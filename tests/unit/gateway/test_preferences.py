"""Prefer and Idempotency-Key, well formed and not."""

from __future__ import annotations

import pytest

from literesearcher.errors import CallerError
from literesearcher.gateway.preferences import MAX_WAIT_SECONDS, idempotency_key, wait_seconds
from literesearcher.gateway.wire import negotiate


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([], None),
        (["wait=10"], 10),
        (["Wait = 10"], 10),
        (['wait="10"'], 10),
        (["respond-async, wait=5; x=y"], 5),
        (["respond-async", "wait=5"], 5),
        (["wait=0"], 0),
        (["wait=999999999"], MAX_WAIT_SECONDS),
        (["wait=-1"], None),
        (["wait=1.5"], None),
        (["wait=" + "9" * 5000], None),
        (["wait"], None),
        (["await=5"], None),
        (["wait=\u0665"], None),
    ],
)
def test_wait(headers: list[str], seconds: int | None) -> None:
    assert wait_seconds(headers) == seconds


def test_a_key_is_kept_as_sent() -> None:
    assert idempotency_key([]) is None
    assert idempotency_key(['"8e03978e-40d5-43e8-bc93-6894a57f9324"']) == '"8e03978e-40d5-43e8-bc93-6894a57f9324"'


@pytest.mark.parametrize(
    "values", [[""], ["a b"], ["x" * 256], ["schlüssel"], ["a\r\nSet-Cookie: b"], ["a\x00"], ["a", "a"]]
)
def test_a_key_that_cannot_be_kept_is_refused(values: list[str]) -> None:
    with pytest.raises(CallerError) as caught:
        idempotency_key(values)
    assert caught.value.field == "Idempotency-Key"


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, "text/event-stream"),
        ("", "text/event-stream"),
        ("*/*", "text/event-stream"),
        ("application/json", "application/json"),
        ("application/x-ndjson", "application/x-ndjson"),
        ("text/event-stream, application/json;q=0.5", "text/event-stream"),
        ("application/json;q=0.9, */*;q=0.1", "application/json"),
        ("text/*", "text/event-stream"),
        ("APPLICATION/JSON; charset=utf-8", "application/json"),
        ("text/event-stream;q=0, */*", "application/x-ndjson"),
        ("text/event-stream;q=nonsense, application/json;q=0.1", "application/json"),
    ],
)
def test_negotiation(accept: str | None, form: str) -> None:
    assert negotiate(accept) == form


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "garbage", "," * 10000, "*/*;q=nan", ";;;"])
def test_nothing_that_fits(accept: str) -> None:
    with pytest.raises(CallerError) as caught:
        negotiate(accept)
    assert caught.value.code == "not_acceptable"
