"""What markup declares: language and day."""

from __future__ import annotations

import pytest

from literesearcher.reading.page_facts import language_of, published_of


@pytest.mark.parametrize(
    ("source", "language"),
    [
        ('<!doctype html><html class="x" lang="en-GB">', "en"),
        ("<HTML LANG=zh-Hans-CN>", "zh"),
        ('<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="pt">', "pt"),
        ('<html><meta http-equiv="Content-Language" content="de-AT">', "de"),
        ('<html><meta property="og:locale" content="fr_FR">', "fr"),
        ("<?xml version='1.0'?><rss><channel><language>en-us</language>", "en"),
        ('<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="ja">', "ja"),
        ('<html lang="haw">', None),
        ('<html lang="">', None),
        ('<html data-x="lang"><p lang=fr>', None),
        ("<html " + "x" * 100_000 + " lang=en>", None),
        ("", None),
    ],
)
def test_language(source, language):
    assert language_of(source) == language


@pytest.mark.parametrize(
    ("source", "day"),
    [
        ('<meta property="article:published_time" content="2024-05-06T07:00:00+02:00">', "2024-05-06"),
        (
            '<script type="application/ld+json">{"@type": "Article", "datePublished": "2024-05-06"}</script>',
            "2024-05-06",
        ),
        ('<time itemprop="datePublished" datetime="2024-05-06">', "2024-05-06"),
        ('<meta name="DC.date.issued" content="2024-05-06">', "2024-05-06"),
        ('<meta property="article:published_time" content="2024-13-45">', None),
        ('<meta property="article:published_time" content="yesterday">', None),
        ("on 2024-05-06", None),
        ("", None),
    ],
)
def test_day(source, day):
    assert published_of(source) == day
