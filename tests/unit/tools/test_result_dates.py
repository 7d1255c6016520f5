"""Dates as search engines write them."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from literesearcher.tools.sources.dates import Days, days_of

NOW = datetime(2024, 5, 15, 1, 30, tzinfo=UTC)


def span(first: str, last: str | None = None) -> Days:
    return Days(date.fromisoformat(first), date.fromisoformat(last or first))


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("2024-05-01", span("2024-05-01")),
        ("2024-05-01T10:00:00Z", span("2024-05-01")),
        ("2024-05-01 10:00:00+08:00", span("2024-05-01")),
        ("2024/5/1", span("2024-05-01")),
        ("2024.05.01", span("2024-05-01")),
        ("2024-02", span("2024-02-01", "2024-02-29")),
        ("2023", span("2023-01-01", "2023-12-31")),
        ("May 1, 2024", span("2024-05-01")),
        ("may 1st, 2024", span("2024-05-01")),
        ("Sept. 12, 2023", span("2023-09-12")),
        ("December 31 1999", span("1999-12-31")),
        ("1 May 2024", span("2024-05-01")),
        ("01-May-2024", span("2024-05-01")),
        ("Wed, 01 May 2024 10:00:00 GMT", span("2024-05-01")),
        ("May 2024", span("2024-05-01", "2024-05-31")),
        ("5/1/2024", span("2024-01-05", "2024-05-01")),
        ("31/12/2023", span("2023-12-31")),
        ("12/31/2023", span("2023-12-31")),
        # without a year: the last such day
        ("May 1", span("2024-05-01")),
        ("Dec 24", span("2023-12-24")),
        ("May 15", span("2024-05-15")),
        ("5月16日", span("2023-05-16")),
        ("2024年5月1日", span("2024-05-01")),
        ("2024 年 5 月 1 日", span("2024-05-01")),
        ("２０２４年５月１日", span("2024-05-01")),
        ("2024年5月1日 10:30", span("2024-05-01")),
        ("2024年2月", span("2024-02-01", "2024-02-29")),
        ("2023年", span("2023-01-01", "2023-12-31")),
        ("2024년 5월 1일", span("2024-05-01")),
        ("today", span("2024-05-15")),
        ("Yesterday", span("2024-05-14")),
        ("前天", span("2024-05-13")),
        ("3 days ago", span("2024-05-11", "2024-05-12")),
        ("3天前", span("2024-05-11", "2024-05-12")),
        ("3 日前", span("2024-05-11", "2024-05-12")),
        ("3일 전", span("2024-05-11", "2024-05-12")),
        ("1 hour ago", span("2024-05-14", "2024-05-15")),
        ("an hour ago", span("2024-05-14", "2024-05-15")),
        ("26小时前", span("2024-05-13")),
        ("5 mins ago", span("2024-05-15")),
        ("2 weeks ago", span("2024-04-24", "2024-05-01")),
        ("1 month ago", span("2024-03-14", "2024-04-17")),
        ("2 years ago", span("2021-05-13", "2022-05-16")),
        ("1年前", span("2022-05-14", "2023-05-16")),
    ],
)
def test_a_known_form(text, days):
    assert days_of(text, now=NOW) == days


@pytest.mark.parametrize(
    "text",
    ["", "soon", "Ed. 3", "2024-13-01", "2024-02-30", "Feb 30, 2024", "13/13/2024", "0000-01-01", "99999", "202405011",
     "3 fortnights ago", "9999 years ago", "in 3 days", "March", "5月", "-1 days ago", "٣ days", "\x00", "²", "🗓"],
)  # fmt: skip
def test_an_unknown_form_is_no_date(text):
    assert days_of(text, now=NOW) is None


@given(st.text(max_size=300))
def test_nothing_breaks_it(text):
    days = days_of(text, now=NOW)
    assert days is None or days.first <= days.last


@given(st.dates(min_value=date(1970, 1, 1), max_value=date(2100, 1, 1)))
def test_every_day_is_read_back_in_every_form(day):
    for text in (day.isoformat(), f"{day:%B} {day.day}, {day.year}", f"{day:%a, %d %b %Y 00:00:00 GMT}",
                 f"{day.year}年{day.month}月{day.day}日"):  # fmt: skip
        assert days_of(text, now=NOW) == Days(day, day), text
