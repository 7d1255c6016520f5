"""What a person reads of a job, and that nothing hostile gets through to the terminal."""

from datetime import UTC, datetime, timedelta

import pytest

from literesearcher.cli.narration import conclude, duration, tell
from literesearcher.jobs.model import Envelope, Job
from literesearcher.research import events as ev
from literesearcher.research.events import STATUS_BY_STOP_REASON
from literesearcher.research.messages import Sampling, Usage

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def envelope(event: ev.Event) -> Envelope:
    return Envelope("job_1", 2, event.type, event.version, NOW, 1, 1, event, {})


def turn(text: str) -> ev.TurnCompleted:
    return ev.TurnCompleted(1, "turn", text, "stop", Usage(), 0, "m", Sampling())


def job(**changes: object) -> Job:
    values: dict[str, object] = {
        "id": "job_1",
        "tenant_id": "default",
        "status": "completed",
        "input": "q",
        "created_at": NOW,
        "deadline_at": NOW + timedelta(hours=1),
        "stop_reason": "answer",
        "ended_at": NOW + timedelta(seconds=3),
    }
    return Job(**(values | changes))  # type: ignore[arg-type]


def test_a_turn_is_told_by_its_thought_alone():
    assert tell(envelope(turn("<think>\nlook it up\n</think>\n<answer>secret 42</answer>"))) == ["turn 1: look it up"]
    assert tell(envelope(turn("<answer>42</answer>"))) == ["turn 1"]


def test_queries_pages_and_results_are_told():
    started = tell(envelope(ev.ToolStarted(1, "search", {"query": ["one", "two"]})))
    assert [line.split() for line in started] == [["search", "one"], ["search", "two"]]
    visit = tell(envelope(ev.ToolStarted(1, "visit", {"url": "pydoc:heapq", "goal": "merge"})))
    assert visit == ["  visit  pydoc:heapq  for: merge"]
    items = [
        ev.ToolItem("search", "one", True, provider="local", results=[{"title": "t", "url": "u"}]),
        ev.ToolItem("page", "http://x", False, status="refused"),
    ]
    told = tell(envelope(ev.ToolCompleted(1, "search", {}, "text", items)))
    assert "1 results" in told[0]
    assert "refused" in told[1]


@pytest.mark.parametrize("arguments", [{}, {"query": None}, {"query": [1, {"a": 2}]}, {"url": 7}])
def test_arguments_of_any_shape_are_told_without_harm(arguments: dict[str, object]):
    for name in ("search", "visit", "nonsense"):
        tell(envelope(ev.ToolStarted(1, name, arguments)))


def test_what_a_page_wrote_cannot_act_on_the_terminal():
    hostile = "\x1b]0;owned\x07\x1b[2Jtext\r\n\u202e"
    item = ev.ToolItem("page", hostile, True, title=hostile, provider="direct")
    lines = tell(envelope(turn(f"<think>{hostile}</think>")))
    lines += tell(envelope(ev.ToolStarted(1, "visit", {"url": hostile, "goal": hostile})))
    lines += tell(envelope(ev.ToolCompleted(1, "visit", {}, hostile, [item])))
    lines += tell(envelope(ev.ToolCompleted(1, "visit", {}, hostile, [], called=False)))
    lines += tell(envelope(ev.EffectFailed(1, "server_error", hostile)))
    cited = [ev.Citation(hostile, hostile, hostile, 3)]
    failed = job(output_text=hostile, citations=cited, error_code="x", error_message=hostile)
    lines += conclude(failed, language_model=True)
    assert any("text" in line for line in lines)
    assert not any(mark in line for line in lines for mark in ("\x1b", "\x07", "\r", "\u202e", "owned"))


def test_an_event_of_a_newer_program_is_passed_over():
    assert tell(Envelope("job_1", 2, "news", 9, NOW, 1, 1, None, {})) == []


def test_the_last_word_has_answer_sources_and_how_it_ended():
    text = "\n".join(
        conclude(
            job(output_text="heapq.merge", citations=[ev.Citation("pydoc:heapq.merge", "heapq.merge", "Merge…", 4)]),
            language_model=False,
        )
    )
    assert "heapq.merge" in text
    assert "pydoc:heapq.merge" in text
    assert "no language model wrote this" in text
    assert "Completed: answered (answer)" in text
    assert "3.0 s" in text
    assert "no language model" not in "\n".join(conclude(job(output_text="x"), language_model=True))


@pytest.mark.parametrize("reason", list(STATUS_BY_STOP_REASON))
def test_every_ending_is_said_in_words(reason: str):
    ended = job(stop_reason=reason, status=STATUS_BY_STOP_REASON[reason])  # type: ignore[index]
    last = conclude(ended, language_model=True)[-1]
    assert f"({reason})" in last
    assert f": {reason} (" not in last


def test_durations_are_short():
    assert [duration(seconds) for seconds in (-1, 0.42, 72, 725, 10_920)] == [
        "0.0 s",
        "0.4 s",
        "72 s",
        "12 min 5 s",
        "3 h 2 min",
    ]


def test_a_job_that_could_not_begin_says_so_and_what_to_do():
    (line,) = tell(envelope(ev.EffectFailed(0, "engine_unreachable", "nobody answers")))
    assert line.startswith("the job could not begin")
    failed = job(status="failed", stop_reason="server_error", error_code="engine_unreachable", error_message="away")
    text = "\n".join(conclude(failed, language_model=True))
    assert "LITERESEARCHER_ENGINE__BASE_URL" in text
    assert "doctor" in text


def test_repeats_budgets_money_and_estimates_are_said():
    (repeat,) = tell(envelope(ev.ToolCompleted(2, "search", {}, "t", repeats_seq=6)))
    assert "event 6" in repeat
    assert "spent" in tell(envelope(ev.BudgetReached(2, "the budget is spent")))[0]
    usage = ev.JobUsage(turns=1, prompt_tokens=10, completion_tokens=2, tool_cost_usd=0.0125, estimated_turns=1)
    last = conclude(job(usage=usage), language_model=True)[-1]
    assert "0.0125 USD for tools" in last
    assert "about 12 tokens" in last
