"""The order between live text and journal events, as one client sees it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from literesearcher.gateway.deltas import Backlog, LiveText
from literesearcher.jobs.live import Delta
from literesearcher.jobs.model import Envelope

AT = datetime(2026, 1, 1, tzinfo=UTC)


def envelope(type_: str, attempt: int = 1, **payload: Any) -> Envelope:
    return Envelope("job_a", 1, type_, 1, AT, attempt, 1, None, payload)


def text(turn: int, offset: int, piece: str, attempt: int = 1) -> Delta:
    return Delta("job_a", turn, attempt, offset, piece)


def restarted(turn: int, attempt: int) -> Delta:
    return Delta("job_a", turn, attempt, 0, "", kind="restarted")


def started(turn: int, attempt: int = 1) -> Envelope:
    return envelope("turn.started", attempt, turn=turn)


def completed(turn: int) -> Envelope:
    return envelope("turn.completed", turn=turn)


class TestOrder:
    def test_text_before_its_turn_started_or_after_its_completion_is_not_sent(self) -> None:
        live = LiveText()
        assert live.admit(text(1, 0, "early")) is None
        live.see(started(1))
        assert live.admit(text(1, 0, "in time")) == text(1, 0, "in time")
        live.see(completed(1))
        assert live.admit(text(1, 7, "late")) is None

    def test_a_compression_and_the_turn_of_the_same_number_are_told_apart(self) -> None:
        live = LiveText()
        live.see(started(3))
        live.admit(text(3, 0, "a sentence"))
        live.see(completed(3))
        assert live.see(started(3)) is None, "nothing was lost, so nothing restarts"
        assert live.admit(text(3, 10, " late piece of the sentence")) is None
        assert live.admit(text(3, 0, "<think>")) == text(3, 0, "<think>")

    def test_overlap_is_trimmed_and_a_gap_is_not_sent(self) -> None:
        live = LiveText()
        live.see(started(1))
        live.admit(text(1, 0, "abc"))
        assert live.admit(text(1, 1, "bcde")) == text(1, 3, "de")
        assert live.admit(text(1, 0, "abcde")) is None
        assert live.admit(text(1, 9, "gap")) is None

    @given(st.text(min_size=1, max_size=60), st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=30))
    def test_what_is_sent_of_a_turn_is_always_a_prefix_of_it(self, whole: str, cuts: list[tuple[int, int]]) -> None:
        live = LiveText()
        live.see(started(1))
        sent = ""
        for start, length in cuts:
            got = live.admit(text(1, start, whole[start : start + length]))
            if got is not None:
                assert got.offset == len(sent)
                sent += got.text
        assert whole.startswith(sent)


class TestRestart:
    def test_a_turn_that_a_crash_cut_off_says_restarted_even_where_no_live_text_was_heard(self) -> None:
        live = LiveText()
        live.see(started(2))
        live.see(envelope("effect.unknown", 2, turn=2, intent_type="turn.started"))
        assert live.see(started(2, attempt=2)) == restarted(2, 2)
        assert live.admit(restarted(2, 2)) is None, "said once"
        assert live.admit(text(2, 0, "old", attempt=1)) is None
        assert live.admit(text(2, 0, "new", attempt=2)) == text(2, 0, "new", attempt=2)

    def test_it_is_said_once_also_where_live_text_is_ahead_of_the_journal(self) -> None:
        live = LiveText()
        live.see(started(2))
        live.admit(text(2, 0, "half"))
        assert live.admit(restarted(2, 2)) == restarted(2, 2)
        live.see(envelope("effect.unknown", 2, turn=2, intent_type="turn.started"))
        assert live.see(started(2, attempt=2)) is None
        assert live.admit(text(2, 0, "new", attempt=2)) == text(2, 0, "new", attempt=2)

    def test_a_tool_that_a_crash_cut_off_restarts_no_turn(self) -> None:
        live = LiveText()
        live.see(started(2))
        live.see(completed(2))
        live.see(envelope("effect.unknown", 2, turn=2, intent_type="tool.started"))
        assert live.see(started(3, attempt=2)) is None

    def test_a_try_again_within_an_attempt_voids_what_was_sent(self) -> None:
        live = LiveText()
        live.see(started(1))
        live.admit(text(1, 0, "half"))
        assert live.admit(restarted(1, 1)) == restarted(1, 1)
        assert live.admit(text(1, 0, "ha")) == text(1, 0, "ha")


class TestBacklog:
    def test_pieces_are_put_together_and_taken_once(self) -> None:
        backlog = Backlog()
        for offset, piece in [(0, "ab"), (2, "cd"), (3, "de")]:
            backlog.add(text(1, offset, piece))
        assert backlog.take() == [text(1, 0, "abcde")]
        assert backlog.take() == []

    def test_a_newer_turn_pushes_an_older_one_out(self) -> None:
        backlog = Backlog()
        backlog.add(text(1, 0, "x" * 1000))
        backlog.add(text(2, 0, "new"))
        assert backlog.take() == [text(2, 0, "new")]

    def test_a_restart_voids_what_waits_and_goes_first(self) -> None:
        backlog = Backlog()
        backlog.add(text(1, 0, "old"))
        backlog.add(restarted(1, 2))
        backlog.add(text(1, 0, "new", attempt=2))
        assert backlog.take() == [restarted(1, 2), text(1, 0, "new", attempt=2)]

    def test_a_generation_of_the_same_turn_from_the_start_replaces_what_waits(self) -> None:
        backlog = Backlog()
        backlog.add(text(3, 0, "compressed"))
        backlog.add(text(3, 0, "<think>"))
        backlog.add(text(3, 7, "hm"))
        assert backlog.take() == [text(3, 0, "<think>hm")]
