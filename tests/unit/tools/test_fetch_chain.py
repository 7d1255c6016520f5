"""The order of providers, and what moves on to the next."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from literesearcher.errors import BoundaryError
from literesearcher.reading.mojibake import is_mojibake, repaired
from literesearcher.telemetry.tool_metrics import ToolMetrics
from literesearcher.testing.manual_clock import ManualClock
from literesearcher.tools.governor import Governor, Tally
from literesearcher.tools.pages.fetch_chain import FetchChain, is_chinese_host
from literesearcher.tools.pages.shaping import PageShaping
from literesearcher.tools.pages.text import PageReader
from literesearcher.tools.perimeter.guard import Guard, RefusedTarget
from literesearcher.tools.port import Ask
from literesearcher.tools.providers.port import BUSY, FetchedPage

PUBLISHED = Ask(fidelity="published")
IMPROVED = Ask(fidelity="improved")
LONG = "A readable page. " * 40
SHORT = "x" * 300
MOJIBAKE = "CafÃ© Ã¼ber rÃ©sumÃ©. " + LONG


class Provider:
    """Acts out what it is given, one act a call; the last is repeated."""

    def __init__(self, id: str, *acts: str | FetchedPage | Exception, log: list[str] | None = None) -> None:
        self.id, self.cache_key, self.private = id, id, id == "local"
        self.policy = BUSY
        self.acts = list(acts)
        self.log = log if log is not None else []

    async def fetch(self, url: str, *, tenant_id: str, timeout_seconds: float) -> FetchedPage:
        self.log.append(self.id)
        act = self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]
        if isinstance(act, Exception):
            raise act
        if isinstance(act, FetchedPage):
            return replace(act, provider=self.id)
        return FetchedPage(self.id, act, whole=self.id == "local")


def failing(code: str = "page_status", **how) -> BoundaryError:
    return BoundaryError("no", code=code, **how)


def chain_of(*providers: Provider) -> tuple[FetchChain, list[str]]:
    log: list[str] = []
    for provider in providers:
        provider.log = log
    clock = ManualClock()
    metrics = ToolMetrics()
    chain = FetchChain(
        providers,
        guard=Guard(),
        clock=clock,
        governor=Governor(clock=clock, metrics=metrics),
        metrics=metrics,
        shaping=PageShaping(PageReader()),
    )
    return chain, log


async def fetched(chain: FetchChain, url: str = "https://a.example/", ask: Ask = PUBLISHED):
    page, keep = await chain.fetch(url, ask=ask, timeout_seconds=60, tally=Tally())
    return page.provider, page.text, keep


@pytest.mark.parametrize("worse", [failing(), SHORT, "", MOJIBAKE, RefusedTarget("no")])
async def test_what_moves_on_to_the_next_provider(worse):
    chain, log = chain_of(Provider("direct", worse), Provider("jina", LONG), Provider("scrapedo", LONG))
    assert await fetched(chain) == ("jina", LONG, True)
    assert log == ["direct", "jina"]


async def test_a_body_of_301_characters_is_enough():
    chain, _log = chain_of(Provider("direct", "x" * 301), Provider("jina", LONG))
    assert (await fetched(chain))[0] == "direct"


async def test_when_none_is_better_the_last_body_is_used_whatever_it_looks_like():
    chain, _ = chain_of(Provider("direct", SHORT), Provider("jina", MOJIBAKE), Provider("scrapedo", failing()))
    assert await fetched(chain) == ("jina", MOJIBAKE, False)
    chain, _ = chain_of(Provider("jina", MOJIBAKE))
    assert await fetched(chain) == ("jina", MOJIBAKE, False)
    chain, _ = chain_of(Provider("direct", SHORT), Provider("jina", ""))
    assert await fetched(chain) == ("direct", SHORT, False)


async def test_when_none_gave_a_body_the_failure_says_whether_it_was_refused():
    chain, _ = chain_of(Provider("direct", RefusedTarget("no")), Provider("jina", failing()))
    with pytest.raises(RefusedTarget):
        await fetched(chain)
    chain, _ = chain_of(Provider("direct", failing()), Provider("jina", failing("provider_error")))
    with pytest.raises(BoundaryError):
        await fetched(chain)


async def test_chinese_hosts_go_to_jina_first():
    def providers() -> list[Provider]:
        return [Provider("local", failing("page_missing")), Provider("direct", LONG), Provider("jina", LONG)]

    chain, log = chain_of(*providers(), Provider("scrapedo", LONG))
    assert (await fetched(chain, "http://cs.sdufe.edu.cn/szdw/tpjs.htm"))[0] == "jina"
    assert log == ["local", "jina"]
    chain, log = chain_of(*providers())
    assert (await fetched(chain, "https://en.wikipedia.org/"))[0] == "direct"
    chain, log = chain_of(Provider("direct", LONG), Provider("scrapedo", LONG))
    assert (await fetched(chain, "https://baike.baidu.com/item/x"))[0] == "direct"


def test_hosts():
    assert all(is_chinese_host(host) for host in ("a.gov.cn", "CN", "www.zhihu.com", "x.xn--fiqs8s", "baidu.com."))
    assert not any(is_chinese_host(host) for host in ("cn.example.com", "notbaidu.com", "baidu.com.example.org", ""))


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://a.example/", "javascript:alert(1)", "x", ""])
async def test_other_schemes_go_nowhere(url):
    chain, log = chain_of(Provider("local", "stored"), Provider("direct", LONG), Provider("jina", LONG))
    with pytest.raises(RefusedTarget):
        await fetched(chain, url)
    assert log == []


@pytest.mark.parametrize("url", ["pydoc:os", "corpus:a/b.md"])
async def test_keys_go_to_the_page_store_only(url):
    chain, log = chain_of(Provider("local", "stored"), Provider("direct", LONG), Provider("jina", LONG))
    assert await fetched(chain, url) == ("local", "stored", True)
    assert log == ["local"]
    chain, log = chain_of(Provider("direct", LONG), Provider("jina", LONG))
    with pytest.raises(RefusedTarget):
        await fetched(chain, url)
    assert log == []


async def test_a_busy_provider_is_asked_twice_and_a_broken_one_once():
    busy = failing("provider_busy", transient=True, retry_after=0.0)
    chain, log = chain_of(Provider("jina", busy, LONG))
    assert (await fetched(chain))[0] == "jina"
    assert log == ["jina", "jina"]
    broken = failing("provider_error", transient=True)
    chain, log = chain_of(Provider("jina", broken, LONG), Provider("scrapedo", LONG))
    assert (await fetched(chain))[0] == "scrapedo"
    assert log == ["jina", "scrapedo"]


CAPTCHA = FetchedPage(
    "", "Verify you are human by completing the action below. " * 9, "Just a moment...", kind="captcha"
)
CONSENT = FetchedPage("", "We value your privacy. Accept all. " * 12, kind="consent")
APP = FetchedPage("", "You need to enable JavaScript to run this app.", kind="script_only")
TEASER = FetchedPage("", "The mayor said on Monday that. " * 20, kind="paywall")


@pytest.mark.parametrize("wall", [CAPTCHA, CONSENT, APP, TEASER])
async def test_a_wall_moves_on_in_improved_only(wall):
    chain, log = chain_of(Provider("direct", wall), Provider("jina", LONG))
    assert await fetched(chain, ask=IMPROVED) == ("jina", LONG, True)
    assert log == ["direct", "jina"]
    chain, log = chain_of(Provider("direct", replace(wall, text=LONG)), Provider("jina", "other" * 100))
    assert await fetched(chain) == ("direct", LONG, True)


@pytest.mark.parametrize(
    ("bodies", "taken"),
    [
        ((SHORT, CAPTCHA), 0),  # a few words before a wall
        ((TEASER, SHORT), 0),  # a teaser before a few words
        ((TEASER, CAPTCHA), 0),
        ((CONSENT, CAPTCHA), 1),  # of two walls the last
        ((CAPTCHA, TEASER), 1),
        ((CAPTCHA, failing()), 0),
        ((CAPTCHA, ""), 0),
    ],
)
async def test_the_best_body_is_used_where_none_is_a_page(bodies, taken):
    ids = ("direct", "jina")
    chain, _ = chain_of(*(Provider(id, body) for id, body in zip(ids, bodies, strict=True)))
    provider, text, keep = await fetched(chain, ask=IMPROVED)
    body = bodies[taken]
    assert (provider, text, keep) == (ids[taken], body.text if isinstance(body, FetchedPage) else body, False)


async def test_a_challenge_of_the_site_is_called_so_where_nobody_got_past_it():
    def providers() -> list[Provider]:
        return [Provider("direct", failing("page_challenge")), Provider("jina", failing("provider_error"))]

    chain, _ = chain_of(*providers())
    page, keep = await chain.fetch("https://a.example/", ask=IMPROVED, timeout_seconds=60, tally=Tally())
    assert (page.kind, page.provider, page.text, keep) == ("captcha", "direct", "", False)
    with pytest.raises(BoundaryError):
        await fetched(chain_of(*providers())[0])


async def test_a_call_may_ask_for_the_other_fidelity_and_is_kept_apart():
    chain, _ = chain_of(Provider("direct", CAPTCHA), Provider("jina", LONG))
    assert (await fetched(chain, ask=IMPROVED))[0] == "jina"
    assert chain.cache_key(IMPROVED) != chain.cache_key(PUBLISHED)


async def test_mojibake_is_undone_in_improved_and_costs_no_second_provider():
    page = FetchedPage("", f"{'Café Über résumé. '.encode().decode('cp1252')}\n{LONG}\nplain café\n", "CafÃ©")
    chain, log = chain_of(Provider("direct", page), Provider("jina", LONG))
    got, keep = await chain.fetch("https://a.example/", ask=IMPROVED, timeout_seconds=60, tally=Tally())
    assert (got.text, got.title, keep) == (f"Café Über résumé. \n{LONG}\nplain café\n", "Café", True)
    assert log == ["direct"]


async def test_json_and_feeds_are_laid_out_in_improved_only():
    body = json.dumps({"items": [{"name": "x" * 50, "n": 1.10} for _ in range(30)]})
    chain, _ = chain_of(Provider("direct", body))
    _, text, _ = await fetched(chain, ask=IMPROVED)
    assert json.loads(text) == json.loads(body)
    assert text.count("\n") > 30
    assert (await fetched(chain_of(Provider("direct", body))[0]))[1] == body


async def test_a_wall_that_a_reader_hands_on_as_text_is_told():
    said = (
        "Title: Just a moment...\n\nURL Source: https://a.example/\n\n"
        "Warning: Target URL returned error 403: Forbidden\n"
        "Warning: This page maybe requiring CAPTCHA, please make sure you are authorized to access this page.\n\n"
        "Markdown Content:\n## Performing security verification\n\nThis website uses a security service to protect "
        "against malicious bots. This page is displayed while the website verifies you are not a bot.\n"
    )
    chain, _ = chain_of(Provider("jina", FetchedPage("", said, "Just a moment...")))
    page, keep = await chain.fetch("https://a.example/", ask=IMPROVED, timeout_seconds=60, tally=Tally())
    assert (page.kind, keep) == ("captcha", False)


@pytest.mark.parametrize("said", ["“naïve” Übergröße — 中国, Привет", "x\u0080\u009d é"])
def test_mojibake_of_either_kind_is_undone_once_or_twice_and_only_where_clean(said):
    for encoding in ("latin-1", "cp1252"):
        once = "".join(bytes([code]).decode(encoding, "ignore") or chr(code) for code in said.encode())
        assert repaired(once) == said
        twice = "é" * 3 + "\n" + said
        for _ in range(2):
            twice = "".join(bytes([code]).decode(encoding, "ignore") or chr(code) for code in twice.encode())
        assert repaired(twice) == "é" * 3 + "\n" + said
    for unclean in ("CafÃ© 中", "Ã© and é", "naïve café", "Ã", ""):
        assert repaired(unclean) == unclean


@pytest.mark.parametrize("text", ["donâ€™t â€œdoâ€\x9d", "ä¸­å›½èµ›è‰‡", "ÐŸÑ€Ð¸Ð²ÐµÑ‚", "Â©Â®Â°"])
def test_mojibake_of_latin_1_and_windows_1252(text):
    assert is_mojibake(text)


@pytest.mark.parametrize(
    "text",
    [
        "naïve café, señor; Ãlvaro",
        "“Straße” – Fußgänger’s Größe",
        "Привет, мир",
        "中文页面，正常。",
        "x" * 499 + "Ã©" * 9,
        "Cafe",
        "Ã© Ã©",
        "ÇA C’EST “ÉTÉ” – à « l’aube »",
    ],
)
def test_readable_text_is_no_mojibake(text):
    assert not is_mojibake(text)
