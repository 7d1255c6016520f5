"""What must hold of a platform that carried out recorded rollouts, whatever carried them out: job, journal, live text,
the replay server's report, the offline replay.

For the tests of the embedded platform and of the one on Ray.
"""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import orjson

from literesearcher.testing.replay.programs import Followed, House, follow, post
from literesearcher.testing.replay.rollouts import Case


def check_job(case: Case, got: Followed) -> None:
    """Job, journal and live text against the recording."""
    job = got.job
    assert (job["status"], job["stop_reason"], job["error"]) == ("completed", "answer", None)
    assert job["output"]["text"] == case.answer
    by_type: dict[str, list[dict[str, Any]]] = {}
    for event in got.events:
        by_type.setdefault(event["type"], []).append(event["data"])
    assert [one["text"] for one in by_type["turn.completed"]] == [turn.text for turn in case.turns]
    called = [turn for turn in case.turns if turn.call]
    completed = by_type.get("tool.completed", [])
    assert [one["arguments"] for one in completed] == [turn.call.arguments for turn in called if turn.call]
    read = [f"<tool_response>\n{one['text']}\n</tool_response>" for one in completed]
    assert read == [turn.response for turn in called]
    assert got.events[0]["type"] == "job.created"
    assert job["usage"]["turns"] == len(case.turns)
    assert job["usage"]["tool_calls"] == len(called)
    assert job["usage"]["unknown_effects"] == len(by_type.get("effect.unknown", []))
    for citation in job["output"]["citations"]:
        assert 1 <= citation["seq"] <= len(got.events)


def check_deltas(case: Case, got: Followed) -> None:
    """Live text of each turn: without gaps, and never other than what was journalled."""
    heard: dict[int, str] = {}
    for delta in got.deltas:
        if delta["type"] == "turn.delta":
            so_far = heard.get(delta["turn"], "")
            assert delta["offset"] <= len(so_far), "live text is missing"
            heard[delta["turn"]] = so_far[: delta["offset"]] + delta["text"]
    for turn, text in heard.items():
        assert case.turns[turn - 1].text.startswith(text)


def check_report(seen: dict[str, Any], cases: list[Case]) -> None:
    """Nothing that reached the replay server was other than recorded."""
    assert seen["unexpected"] == []
    assert len(seen["cases"]) == len(cases)
    for case in seen["cases"].values():
        assert case["mismatches"] == []
        assert case["not_asked"] == []
        assert case["reordered"] == 0
        assert case["answers"] >= 1
        assert case["openings"] == 1


async def check_replays(house: House, cases: list[Case], followed: list[Followed]) -> None:
    """Each job replays offline, from the store and from its events in a file."""
    for case, got in zip(cases, followed, strict=True):
        calls = sum(turn.call is not None for turn in case.turns)
        same = f"{len(case.turns)} turns, {calls} tool call{'' if calls == 1 else 's'}, same decisions\n"
        assert await house.ran("jobs", "replay", got.job["id"]) == (0, same)
    path = house.folder / "journal.jsonl"
    path.write_bytes(b"\n".join(orjson.dumps(event) for event in followed[-1].events))
    assert await house.ran("jobs", "replay", "--file", str(path)) == (0, same)
    forged = orjson.dumps(followed[-1].events[-1]["data"]["output_text"])
    path.write_bytes(path.read_bytes().replace(b'"output_text":' + forged, b'"output_text":"forged"'))
    code, said = await house.ran("jobs", "replay", "--file", str(path))
    assert code == 1
    assert '-  "output_text": "forged"' in said


async def run_all(session: aiohttp.ClientSession, base: str, cases: list[Case]) -> list[Followed]:
    """All jobs at once, each followed from its start."""
    posted = [await post(session, base, case.question) for case in cases]
    return list(await asyncio.gather(*(follow(session, base, one) for one in posted)))
