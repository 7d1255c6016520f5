"""The days that a search engine's date may mean. Pure: relative forms count from the moment that is handed in.

Owns: the forms (ISO, HTTP, `May 1, 2024`, `1 May 2024`, `5/1/2024`, `3 days ago`, `2024年5月1日`, `3天前`). Refuses to
know: policies, providers. Above: `tools.sources.rules`. A form says no more than it says: `2024` is a whole year, and
`5/1/2024` one of two days, so what comes out is the first and the last day it may be.
"""

from __future__ import annotations

import calendar
import re
import unicodedata
from dataclasses import dataclass
from datetime import date, datetime, timedelta

_MAX_CHARACTERS = 120
_MONTHS = {name: number for number, name in enumerate(
    ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1
)}  # fmt: skip
_REST = r"(?:[ ,].*)?"
_YEAR = r"(?P<year>\d{4})"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_MONTH = r"(?P<month>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_ISO = re.compile(rf"{_YEAR}(?:[-/.](?P<month>\d{{1,2}})(?:[-/.](?P<day>\d{{1,2}}))?)?(?!\d)(?:[t ,].*)?")
_EAST = re.compile(
    rf"(?:{_YEAR}\s*[年년]\s*)?(?:(?P<month>\d{{1,2}})\s*[月월]\s*)?(?:(?P<day>\d{{1,2}})\s*[日号일])?.*"
)
_MONTH_FIRST = re.compile(rf"{_MONTH}\s+(?:{_DAY}(?!\d))?(?:,?\s*{_YEAR})?{_REST}")
_DAY_FIRST = re.compile(rf"(?:[a-z]{{3,9}},?\s+)?{_DAY}(?:\s+|-){_MONTH}(?:,?[\s-]*{_YEAR})?{_REST}")
_SLASHED = re.compile(r"(?P<one>\d{1,2})[/.-](?P<two>\d{1,2})[/.-](?P<year>\d{4})(?:[ ,].*)?")
_AGO = re.compile(
    r"(?:about\s+|over\s+|almost\s+)?(?P<count>\d{1,4}|an?|one|few)\s*"
    r"(?P<unit>second|sec|minute|min|hour|hr|day|week|wk|month|mo|year|yr)s?\.?\s+ago"
)
_AGO_EAST = re.compile(
    r"(?P<count>\d{1,4}|几)\s*"
    r"(?P<unit>秒|分|分钟|分鐘|小时|小時|時間|天|日|周|週|週間|星期|个月|個月|か月|ヶ月|年|시간|일|주|개월|년|분|초)\s*"
    r"(?:之?前|전)"
)
_UNIT_DAYS = {
    **dict.fromkeys(("second", "sec", "minute", "min", "hour", "hr", "秒", "分", "分钟", "分鐘"), (0, 1)),
    **dict.fromkeys(("小时", "小時", "時間", "시간", "분", "초"), (0, 1)),
    **dict.fromkeys(("day", "天", "日", "일"), (1, 1)),
    **dict.fromkeys(("week", "wk", "周", "週", "週間", "星期", "주"), (7, 7)),
    **dict.fromkeys(("month", "mo", "个月", "個月", "か月", "ヶ月", "개월"), (28, 31)),
    **dict.fromkeys(("year", "yr", "年", "년"), (365, 366)),
}
"""Fewest and most days of a unit; hours and less are handled as hours."""
_HOURS = frozenset(("hour", "hr", "小时", "小時", "時間", "시간"))
_TODAY = frozenset(("today", "just now", "now", "今天", "今日", "刚刚", "剛剛", "방금", "오늘"))
_YESTERDAY = frozenset(("yesterday", "昨天", "昨日", "어제"))
_BEFORE_YESTERDAY = frozenset(("前天", "一昨日", "그저께"))


@dataclass(frozen=True, slots=True)
class Days:
    """The first and the last day that a date may mean."""

    first: date
    last: date


def days_of(text: str, *, now: datetime) -> Days | None:
    """What the date means, None for a form that is not known. `now`: when the engine said it."""
    shown = unicodedata.normalize("NFKC", text[:_MAX_CHARACTERS]).strip().lower()
    try:
        return _relative(shown, now) or _absolute(shown, now.date())
    except (ValueError, OverflowError):
        return None


def _relative(shown: str, now: datetime) -> Days | None:
    today = now.date()
    for words, days in ((_TODAY, 0), (_YESTERDAY, 1), (_BEFORE_YESTERDAY, 2)):
        if shown in words:
            day = today - timedelta(days=days)
            return Days(day, day)
    found = _AGO.fullmatch(shown) or _AGO_EAST.fullmatch(shown)
    if found is None:
        return None
    unit, said = found["unit"], found["count"]
    # An engine rounds down: `2 months ago` is anything from two to three months.
    least, most = (2, 9) if said in ("few", "几") else (int(said) if said.isdigit() else 1,) * 2
    if unit in _HOURS:
        return Days((now - timedelta(hours=most + 1)).date(), (now - timedelta(hours=least)).date())
    fewest, longest = _UNIT_DAYS[unit]
    if fewest == 0:
        return Days((now - timedelta(minutes=most + 1)).date(), today)
    return Days(today - timedelta(days=(most + 1) * longest), today - timedelta(days=least * fewest))


def _absolute(shown: str, today: date) -> Days | None:
    if (found := _EAST.fullmatch(shown)) and (found["year"] or (found["month"] and found["day"])):
        return _span(_number(found["year"]), _number(found["month"]), _number(found["day"]), today)
    if found := _ISO.fullmatch(shown):
        return _span(_number(found["year"]), _number(found["month"]), _number(found["day"]), today)
    if found := _SLASHED.fullmatch(shown):
        year, one, two = int(found["year"]), int(found["one"]), int(found["two"])
        readings = [date(year, month, day) for month, day in ((one, two), (two, one)) if month <= 12]
        return Days(min(readings), max(readings))
    if found := _MONTH_FIRST.fullmatch(shown) or _DAY_FIRST.fullmatch(shown):
        return _span(_number(found["year"]), _MONTHS[found["month"]], _number(found["day"]), today)
    return None


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)


def _span(year: int | None, month: int | None, day: int | None, today: date) -> Days | None:
    if year is None:
        # Engines leave the year out where it is the last such day.
        if month is None or day is None:
            return None
        year = today.year if (month, day) <= (today.month, today.day) else today.year - 1
    if month is None:
        return Days(date(year, 1, 1), date(year, 12, 31))
    if day is None:
        return Days(date(year, month, 1), date(year, month, calendar.monthrange(year, month)[1]))
    exact = date(year, month, day)
    return Days(exact, exact)
