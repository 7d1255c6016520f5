"""The order of providers, and what moves on to the next."""

from __future__ import annotations

import pytest

from literesearcher.errors import BoundaryError
from literesearcher.telemetry.tool_metrics import ToolMetrics
from literesearcher.testing.manual_clock import ManualClock
from literesearcher.tools.fetch_chain import FetchChain, is_chinese_host, is_mojibake
from literesearcher.tools.governor import Governor, Tally
from literesearcher.tools.guard import Guard, RefusedTarget
from literesearcher.tools.port import Ask
from literesearcher.tools.providers.port import BUSY, FetchedPage

LONG = "A readable page. " * 40
SHORT = "x" * 300
MOJIBAKE = "CafÃ© Ã¼ber rÃ©sumÃ©. " + LONG


class Provider:
    """Acts out what it is given, one act a call; the last is repeated."""

    def __init__(self, id: str, *acts: str | Exception, log: list[str] | None = None) -> None:
        self.id, self.cache_key, self.private = id, id, id == "local"
        self.policy = BUSY
        self.acts = list(acts)
        self.log = log if log is not None else []

    async def fetch(self, url: str, *, tenant_id: str, timeout_seconds: float) -> FetchedPage:
        self.log.append(self.id)
        act = self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]
        if isinstance(act, Exception):
            raise act
        return FetchedPage(self.id, act, whole=self.id == "local")


def failing(code: str = "page_status", **how) -> BoundaryError:
    return BoundaryError("no", code=code, **how)


def chain_of(*providers: Provider) -> tuple[FetchChain, list[str]]:
    log: list[str] = []
    for provider in providers:
        provider.log = log
    clock = ManualClock()
    governor = Governor(clock=clock, metrics=ToolMetrics())
    return FetchChain(providers, guard=Guard(), clock=clock, governor=governor), log


async def fetched(chain: FetchChain, url: str = "https://a.example/"):
    page, keep = await chain.fetch(url, ask=Ask(), timeout_seconds=60, tally=Tally())
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


@pytest.mark.parametrize("url", ["pydoc:os", "corpus:a/b.md", "file:///etc/passwd", "ftp://a.example/", "x", ""])
async def test_keys_and_other_schemes_go_to_the_page_store_only(url):
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
