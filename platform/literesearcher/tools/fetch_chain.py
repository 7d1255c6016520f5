"""One page through the providers in order, until one gives a body worth reading.

Owns: the order, what moves on to the next provider, what is used when none was better. Refuses to know: how a
provider fetches, extraction, caches. Above: `tools.visit`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from literesearcher.errors import BoundaryError
from literesearcher.timing.clock import Clock
from literesearcher.tools.governor import Governor, Tally
from literesearcher.tools.guard import Guard, RefusedTarget
from literesearcher.tools.port import Ask
from literesearcher.tools.providers.port import FetchedPage, PageProvider

FEW_CHARACTERS = 300
"""A body of at most so many characters moves on, as published."""
_CONTINUATION = "[\u0080-\u00bf" + bytes(range(0x80, 0xA0)).decode("cp1252", "ignore") + "]"
_MOJIBAKE = re.compile(f"[\u00c2-\u00d1]{_CONTINUATION}|[\u00e0-\u00ef]{_CONTINUATION}{{2}}")
"""Telltale runs of UTF-8 that was read as Latin-1 or Windows-1252: a lead byte's letter, then continuation bytes'."""

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


def is_mojibake(text: str) -> bool:
    """Three or more telltale runs in the first 500 characters."""
    return len(_MOJIBAKE.findall(text[:500])) >= 3


def is_chinese_host(host: str) -> bool:
    """Hosts that answer readers in China better than others."""
    labels = host.lower().removesuffix(".").split(".")
    return labels[-1] in _CHINESE_HOSTS or ".".join(labels[-2:]) in _CHINESE_HOSTS


class FetchChain:
    """The providers in the order of the settings."""

    def __init__(self, providers: Sequence[PageProvider], *, guard: Guard, clock: Clock, governor: Governor) -> None:
        self._providers = tuple(providers)
        self._guard = guard
        self._clock = clock
        self._governor = governor
        self.cache_key = "|".join(provider.cache_key for provider in self._providers)
        self.private = any(provider.private for provider in self._providers)

    async def fetch(self, url: str, *, ask: Ask, timeout_seconds: float, tally: Tally) -> tuple[FetchedPage, bool]:
        """The page, and whether it is one worth keeping (False: no provider gave better).

        Raises `RefusedTarget` where the URL may not be fetched, else the last provider's `BoundaryError`.
        """
        deadline = self._clock.monotonic() + timeout_seconds
        refused: RefusedTarget | None = None
        failed: BoundaryError | None = None
        last: FetchedPage | None = None
        for provider in self._in_order(url, ask.tenant_id):
            try:
                page = await self._from(provider, url, ask, deadline, tally)
            except RefusedTarget as error:
                refused = error
                continue
            except BoundaryError as error:
                failed = error
                continue
            if page.whole or (len(page.text) > FEW_CHARACTERS and not is_mojibake(page.text)):
                return page, True
            if page.text or last is None:
                last = page
        if last is not None:
            return last, False
        if refused is not None:
            raise refused
        raise failed or RefusedTarget("no provider of pages takes such a URL")

    def _in_order(self, url: str, tenant_id: str) -> list[PageProvider]:
        local = [provider for provider in self._providers if provider.id == "local"]
        if not url.strip().lower().startswith(("http://", "https://")):
            return local  # a key of the page store, or nothing that is fetched
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
                return await provider.fetch(url, tenant_id=ask.tenant_id, timeout_seconds=seconds)
            except BoundaryError as error:
                if error.transient and error.code not in _BUSY_CODES:
                    raise BoundaryError(error.message, code=error.code) from None
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
