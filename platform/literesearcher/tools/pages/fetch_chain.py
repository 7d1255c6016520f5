"""One page through the providers in order, until one gives a body worth reading.

Owns: the order, what moves on to the next provider, what is used when none was better. Refuses to know: how a
provider fetches, extraction, caches. Above: `tools.visit`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from itertools import takewhile

from literesearcher.errors import BoundaryError
from literesearcher.reading.mojibake import is_mojibake
from literesearcher.telemetry.tool_metrics import ToolMetrics
from literesearcher.timing.clock import Clock
from literesearcher.tools.governor import Governor, Tally
from literesearcher.tools.pages.shaping import PageShaping
from literesearcher.tools.perimeter.guard import Guard, RefusedTarget
from literesearcher.tools.port import Ask
from literesearcher.tools.providers.local import LOOKUP_SCHEMES
from literesearcher.tools.providers.port import FetchedPage, PageProvider

FEW_CHARACTERS = 300
"""A body of at most so many characters moves on, as published."""

# fmt: off
_CHINESE_HOSTS = frozenset({
    "cn", "xn--fiqs8s", "xn--fiqz9s", "baidu.com", "zhihu.com", "weibo.com", "qq.com", "163.com",
    "126.com", "sohu.com", "sina.com", "csdn.net", "bilibili.com", "douban.com", "jianshu.com",
    "toutiao.com", "ifeng.com", "sogou.com", "36kr.com", "xiaohongshu.com", "taobao.com", "tmall.com",
    "jd.com", "cnki.net", "eol.com", "huanqiu.com", "people.com", "xinhuanet.com", "gaokao.com",
    "cnblogs.com", "juejin.im", "hupu.com", "thepaper.com", "so.com",
})
# fmt: on
_BUSY_CODES = ("provider_busy", "provider_unreachable")
"""Only these are worth a second call to the same provider; anything else moves on at once."""


def is_chinese_host(host: str) -> bool:
    """Hosts that answer readers in China better than others."""
    labels = host.lower().removesuffix(".").split(".")
    return labels[-1] in _CHINESE_HOSTS or ".".join(labels[-2:]) in _CHINESE_HOSTS


GOOD = 5
"""What a body must be worth to be taken without asking further; 0 is an empty one."""


def _published_worth(page: FetchedPage) -> int:
    if page.whole or (len(page.text) > FEW_CHARACTERS and not is_mojibake(page.text)):
        return GOOD
    return 1 if page.text else 0


def _worth(page: FetchedPage) -> int:
    """A page before a paywall's teaser, that before a few words, and anything before a wall."""
    enough = len(page.text) > FEW_CHARACTERS
    if page.kind == "page" and (page.whole or (enough and not is_mojibake(page.text))):
        return GOOD
    if not page.text:
        return 0
    if page.kind == "page":
        return 4 if enough else 2
    return 3 if page.kind == "paywall" and enough else 1


class FetchChain:
    """The providers in the order of the settings."""

    def __init__(
        self,
        providers: Sequence[PageProvider],
        *,
        guard: Guard,
        clock: Clock,
        governor: Governor,
        metrics: ToolMetrics,
        shaping: PageShaping,
    ) -> None:
        self._providers = tuple(providers)
        self._metrics = metrics
        self._shaping = shaping
        self._guard = guard
        self._clock = clock
        self._governor = governor
        self._cache_key = "|".join(provider.cache_key for provider in self._providers)
        self.private = any(provider.private for provider in self._providers)
        self._stored = tuple(takewhile(lambda provider: provider.private, self._providers))
        self.stored_first = bool(self._stored)
        """Pages of the tenant's own store are looked up before any other provider is asked."""
        self.private_past_stored = any(provider.private for provider in self._providers[len(self._stored) :])

    def cache_key(self, ask: Ask) -> str:
        """What decides what a page reads as, besides its URL: the providers, and how their bodies are judged."""
        return f"{ask.fidelity}|{self._cache_key}"

    async def stored(self, url: str, *, ask: Ask, timeout_seconds: float, tally: Tally) -> FetchedPage | None:
        """The page out of the stores that come first, None where they have none or cannot say."""
        deadline = self._clock.monotonic() + timeout_seconds
        for provider in self._stored:
            with contextlib.suppress(BoundaryError):
                page = await self._from(provider, url, ask, deadline, tally)
                self._metrics.page_kinds.labels(page.kind).inc()
                return page
        return None

    async def fetch(
        self, url: str, *, ask: Ask, timeout_seconds: float, tally: Tally, past_stored: bool = False
    ) -> tuple[FetchedPage, bool]:
        """The page, and whether it is one worth keeping (False: no provider gave better). `past_stored`: the stores
        that come first were asked already.

        Raises `RefusedTarget` where the URL may not be fetched, else the last provider's `BoundaryError`.
        """
        deadline = self._clock.monotonic() + timeout_seconds
        refused: RefusedTarget | None = None
        failed: BoundaryError | None = None
        challenged: str | None = None
        best: FetchedPage | None = None
        improved = ask.fidelity != "published"
        worth = _worth if improved else _published_worth
        for provider in self._in_order(url, ask.tenant_id):
            if past_stored and provider in self._stored:
                failed = BoundaryError("the page store has no such page", code="page_missing")
                continue
            try:
                page = await self._from(provider, url, ask, deadline, tally)
            except RefusedTarget as error:
                refused = error
                continue
            except BoundaryError as error:
                failed = error
                if error.code == "page_challenge":
                    challenged = provider.id
                continue
            if improved and not page.whole:
                page = await self._shaping.shaped(page, tenant_id=ask.tenant_id)
            self._metrics.page_kinds.labels(page.kind).inc()
            if worth(page) == GOOD:
                return page, True
            if best is None or worth(page) >= max(1, worth(best)):
                best = page
        if best is not None:
            return best, False
        if challenged is not None and improved:
            return FetchedPage(challenged, "", kind="captcha"), False
        if refused is not None:
            raise refused
        raise failed or RefusedTarget("no provider of pages takes such a URL")

    def _in_order(self, url: str, tenant_id: str) -> list[PageProvider]:
        local = [provider for provider in self._providers if provider.id == "local"]
        spelled = url.strip().lower()
        if not spelled.startswith(("http://", "https://")):
            # A key of the page store, or nothing that is ever fetched.
            return local if spelled.startswith(LOOKUP_SCHEMES) else []
        try:
            host = self._guard.target(url, tenant_id=tenant_id).raw_host or ""
        except RefusedTarget:
            # A stored page may have any URL; whoever would open this one refuses it again.
            return list(self._providers)
        first = ("local", "jina") if is_chinese_host(host) else ()
        return sorted(self._providers, key=lambda provider: provider.id not in first)

    async def _from(self, provider: PageProvider, url: str, ask: Ask, deadline: float, tally: Tally) -> FetchedPage:
        async def once(seconds: float) -> FetchedPage:
            try:
                with self._guard.asked_by(ask.tenant_id):
                    return await provider.fetch(url, tenant_id=ask.tenant_id, timeout_seconds=seconds)
            except BoundaryError as error:
                error.transient = error.transient and error.code in _BUSY_CODES
                raise

        left = deadline - self._clock.monotonic()
        if left <= 0:
            raise BoundaryError("no time is left for the page", code="page_timeout")
        return await self._governor.call(
            provider,
            once,
            tenant_id=ask.tenant_id,
            timeout_seconds=left,
            tally=tally,
            host=self._host(url, ask.tenant_id),
        )

    def _host(self, url: str, tenant_id: str) -> str:
        try:
            return self._guard.target(url, tenant_id=tenant_id).raw_host or ""
        except RefusedTarget:
            return ""
