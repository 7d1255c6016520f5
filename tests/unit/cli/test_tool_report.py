"""What the terminal says of where each part of a tool call came from."""

from __future__ import annotations

from literesearcher.cli.tool_report import report
from literesearcher.research.messages import Usage
from literesearcher.research.tool_items import ToolItem, ToolTry
from literesearcher.tools.port import ToolResult

NOW = 1_000_000.0


def told(*items: ToolItem, seconds: float = 1.25) -> list[str]:
    return list(report(ToolResult("", list(items), seconds), now=NOW))


def test_every_request_is_told_with_its_outcome_time_and_cost():
    item = ToolItem(
        kind="page",
        target="https://a.example/x",
        ok=True,
        provider="jina",
        status="found",
        cache="miss",
        fetched_at=NOW,
        elapsed_seconds=2.5,
        usage=Usage(1200, 34),
        cost_usd=0.0015,
        tried=[ToolTry("direct", "timeout", 1.5), ToolTry("jina", "ok", 0.5, 0.0015)],
    )
    assert told(item) == [
        "ok  https://a.example/x: found, jina, cache miss, 1,200 + 34 tokens to read it, 2.5 s",
        "    direct: timeout, 1.5 s, $0",
        "    jina: ok, 0.500 s, $0.0015",
        "all in 1.2 s, $0.0015",
    ]


def test_a_kept_answer_is_told_with_its_age():
    hit = ToolItem("search", "q", ok=True, provider="serper", status="found", results=[{}, {}], cache="hit")
    lines = told(
        ToolItem(**{name: getattr(hit, name) for name in hit.__slots__} | {"fetched_at": NOW - 3600 * 5 - 60}),
        ToolItem(**{name: getattr(hit, name) for name in hit.__slots__} | {"cache": "stale", "fetched_at": NOW + 5}),
    )
    assert lines[0] == "ok  q: found (2), serper, cache hit, fetched 5 h 1 min ago, 0.000 s"
    assert lines[1] == "ok  q: found (2), serper, cache stale, fetched 0.0 s ago, 0.000 s"


def test_what_a_job_wanted_recorded_and_is_not_is_marked():
    lines = told(*(ToolItem("search", "q", ok=True, cache="miss", recorded=said) for said in (False, True, None)))
    assert lines[0] == "ok  q: found, cache miss, not recorded, 0.000 s"
    assert lines[1] == lines[2] == "ok  q: found, cache miss, 0.000 s"


def test_a_failure_and_what_the_policy_left_out_are_marked():
    item = ToolItem("search", "q", ok=False, status="quota_spent", left_out={"deny_domains": 3})
    assert told(item)[:2] == ["!!  q: quota_spent, 0.000 s", "    left out, deny_domains: 3"]


def test_what_pages_and_queries_hold_cannot_act_on_the_terminal():
    (line, _) = told(ToolItem("search", "a\x1b]0;x\x07\nb" + "c" * 500, ok=True, status="none\x1b[2J"))
    assert line.isprintable()
    assert len(line) < 200


def test_a_refused_call_has_nothing_to_tell():
    assert told() == []
