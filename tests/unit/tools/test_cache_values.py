"""Keys, ages and bytes of kept results: what is one question, what is news, what is not trusted."""

from __future__ import annotations

import asyncio
import hashlib

import pytest
import zstandard

from literesearcher.research.events import ToolTry
from literesearcher.research.tool_options import ANY_SOURCE, SourcePolicy
from literesearcher.settings.sections import ToolsSection
from literesearcher.tools.cache.entry import Entry, opened, opened_text, paid_by, payer_of, sealed, sealed_text
from literesearcher.tools.cache.keys import canonical_query, canonical_url, key_of, policy_key
from literesearcher.tools.cache.lifetimes import Lifetime, Lifetimes, bucket_of
from literesearcher.tools.cache.lookup import dearest

ENTRY = Entry(
    {"results": [["t", "l", None]]},
    "serper",
    "found",
    1_767_323_045.25,
    payer_of("t"),
    "d",
    [ToolTry("a", "ok", 0.5, 1)],
)


def test_parts_of_a_key_do_not_run_into_each_other():
    assert key_of("a", "bc") != key_of("ab", "c")
    assert key_of("a", "") != key_of("a")
    assert key_of("\ud800") != key_of("\ud801")


@pytest.mark.parametrize("same", ["wombat  burrow", " wombat burrow\n", "wombat\u3000burrow"])
def test_queries_that_no_engine_tells_apart_are_one(same):
    assert canonical_query(same) == "wombat burrow"
    assert canonical_query("cafe\u0301") == canonical_query("caf\u00e9")


def test_queries_that_differ_in_words_case_or_quotes_stay_apart():
    queries = ["wombat burrow", "Wombat burrow", '"wombat burrow"', "burrow wombat", "wombat OR burrow"]
    assert len({canonical_query(query) for query in queries}) == len(queries)


@pytest.mark.parametrize(
    "same", ["https://E.example/a?b=1#part", " https://e.example:443/a?b=1 ", "https://e.example/%61?b=1"]
)
def test_urls_that_ask_for_one_page_are_one(same):
    assert canonical_url(same) == "https://e.example/a?b=1"


def test_urls_of_other_pages_stay_apart():
    urls = [
        "https://e.example/a",
        "http://e.example/a",
        "https://e.example/a/",
        "https://e.example/A",
        "https://e.example/a?",
        "https://e.example/a#/route",
        "https://e.example/a#!route",
        "https://e.example:8443/a",
        "https://user@e.example/a",
        "pydoc:a",
        "corpus:a#b",
        "corpus:a",
    ]
    assert len({canonical_url(url) for url in urls}) >= len(urls) - 1  # an empty query may be none


@pytest.mark.parametrize(
    "text", ["", "https://", "http://[::1", "https://e.example:99999999/", "\ud800", "a" * 100_000]
)
def test_what_is_no_url_is_its_own_key(text):
    assert key_of(canonical_url(text))


def test_policies_have_one_key_in_any_order_and_another_for_other_rules():
    one = SourcePolicy(allow_domains=("a", "b"), languages=("en", "de"))
    assert policy_key(one) == policy_key(SourcePolicy(allow_domains=("b", "a"), languages=("de", "en")))
    others = [
        SourcePolicy(),
        SourcePolicy(allow_domains=("a",)),
        SourcePolicy(deny_domains=("a",)),
        SourcePolicy(languages=("a",)),
        SourcePolicy(published_after="2026-01-01"),
        SourcePolicy(published_before="2026-01-01"),
    ]
    assert len({policy_key(policy) for policy in others}) == len(others)


@pytest.mark.parametrize(
    "query",
    [
        "latest wombat news",
        "Who won today?",
        "weather this week",
        "best phones 2026",
        "2026年诺贝尔奖",
        "最新 新闻",
        "今天的天气",
        "current president of France",
        "aktuelle Nachrichten",
        "최신 뉴스",
    ],
)
def test_searches_for_news_age_fast(query):
    assert bucket_of(query, ANY_SOURCE, year=2026) == "recent"


@pytest.mark.parametrize(
    "query",
    [
        "wombat burrow depth",
        "best phones 2019",
        "ISBN 120263",
        "currents of the ocean",
        "newspaper of 1820",
        "清朝历史",
    ],
)
def test_other_searches_do_not(query):
    assert bucket_of(query, ANY_SOURCE, year=2026) == "steady"


def test_a_range_of_dates_asks_for_news():
    assert bucket_of("q", SourcePolicy(published_after="2020-01-01"), year=2026) == "recent"
    assert bucket_of("q", SourcePolicy(published_before="2020-01-01"), year=2026) == "recent"
    assert bucket_of("q", SourcePolicy(languages=("en",)), year=2026) == "steady"


def test_lifetimes_are_the_settings():
    lives = Lifetimes.of(
        ToolsSection(
            search_fresh_seconds=1, search_stale_seconds=2, recent_fresh_seconds=3, recent_stale_seconds=4,
            page_fresh_seconds=5, page_stale_seconds=6, extraction_fresh_seconds=7, negative_seconds=8, record_days=2,
        )
    )  # fmt: skip
    assert lives.of_search("steady") == Lifetime(1, 2, 8)
    assert lives.of_search("recent") == Lifetime(3, 4, 3), "no result is not news for longer than news is"
    assert (lives.page, lives.reading, lives.record_seconds) == (Lifetime(5, 6, 8), Lifetime(7), 172_800)


@pytest.mark.parametrize(
    ("seconds", "negative", "age"),
    [
        (0, False, "fresh"), (9.9, False, "fresh"), (10, False, "stale"), (29.9, False, "stale"), (30, False, "dead"),
        (4.9, True, "fresh"), (5, True, "dead"), (-100, False, "fresh"), (-1000, False, "dead"),
    ],
)  # fmt: skip
def test_ages(seconds, negative, age):
    assert Lifetime(10, 20, 5).age(seconds, negative=negative) == age


def test_the_dearest_part_names_the_whole():
    assert dearest("hit", "miss") == dearest("miss", "hit") == "miss"
    assert dearest("stale", "hit") == "stale"
    assert dearest("coalesced", None) == "coalesced"
    assert dearest(None, None) is None


def test_an_entry_comes_back_as_it_was():
    assert opened(sealed(ENTRY)) == ENTRY


def test_large_entries_are_compressed_and_small_ones_are_not():
    small, large = sealed(ENTRY), sealed(Entry("word " * 10_000, "p", "found", 0.0, ""))
    assert b'"serper"' in small
    assert len(large) < 1_000


@pytest.mark.parametrize("cut", [1, 6, 20, 100])
def test_a_cut_entry_reads_as_nothing(cut):
    for entry in (ENTRY, Entry("word " * 10_000, "p", "found", 0.0, "")):
        assert opened(sealed(entry)[:-cut]) is None


def test_a_flipped_bit_in_a_compressed_entry_is_seen():
    data = bytearray(sealed(Entry("".join(map(str, range(5_000))), "p", "found", 0.0, "")))
    for at in range(6, len(data), 97):
        data[at] ^= 4
        assert opened(bytes(data)) is None
        data[at] ^= 4


def test_a_bomb_does_not_go_off():
    bomb = zstandard.ZstdCompressor(level=3).compress(bytes(500_000_000))
    assert len(bomb) < 100_000
    assert opened(b"LRK\x01z" + bomb) is None
    unsized = zstandard.ZstdCompressor(write_content_size=False).compress(b"{}" * 1000)
    assert opened(b"LRK\x01z" + unsized) is None


def test_payers_are_told_apart_and_cannot_be_read():
    entry = ENTRY
    assert paid_by(entry, "t")
    assert not paid_by(entry, "T")
    assert payer_of("t") != payer_of("t"), "two entries of one tenant have nothing in common"
    assert not paid_by(Entry(1, "p", "found", 0.0, "no hash at all"), "t")
    assert not paid_by(Entry(1, "p", "found", 0.0, ""), "")
    assert not paid_by(Entry(1, "p", "found", 0.0, "é" * 40), "t")


@pytest.mark.parametrize("text", ["", "short 谁", "a long page 谁 " * 20_000])
async def test_a_text_comes_back_by_its_digest_only(text):
    data, digest = await sealed_text(text), hashlib.sha256(text.encode()).hexdigest()
    assert await opened_text(data, digest) == text
    assert await opened_text(data, hashlib.sha256(b"another").hexdigest()) is None
    assert await opened_text(data[:-1], digest) is None


async def test_large_texts_leave_the_loop_alone():
    loops = 0

    async def turn():
        nonlocal loops
        while True:
            loops += 1
            await asyncio.sleep(0)

    turning = asyncio.create_task(turn())
    await asyncio.sleep(0)
    before = loops
    await sealed_text("".join(map(str, range(1_500_000))))
    turning.cancel()
    assert loops > before + 1
