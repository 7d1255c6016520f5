"""A lane is what one provider, or one site, has: a rate and so many at once. Lanes of sites are made as they are met.

Owns: the numbers, how lanes are made, which lanes of sites are forgotten. Refuses to know: requests, breakers. Above:
`tools.governor`. Below: `limits.rate`, `limits.slots`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from literesearcher.errors import BoundaryError
from literesearcher.timing.clock import Clock
from literesearcher.tools.limits.bucket import LocalBucket
from literesearcher.tools.limits.rate import RateGate
from literesearcher.tools.limits.shared_bucket import SharedBucket
from literesearcher.tools.limits.slots import Slots
from literesearcher.tools.redis_link import RedisLink
from literesearcher.tools.sources.domains import registrable

MOST_SITES = 4096
"""Lanes of sites that are kept; beyond it those that rest are forgotten, the longest unused first."""

Waited = Callable[[str, float], None]
"""Told the reason and the seconds of each wait."""


@dataclass(frozen=True, slots=True)
class Limit:
    """How much may be asked: a second (all processes), at once after a pause, and under way (this process)."""

    per_second: float
    burst: int
    concurrency: int


class Lane:
    """First a token, then a slot. `enter` is followed by one `leave`, unless it raised."""

    def __init__(self, name: str, rate: RateGate, slots: Slots, *, clock: Clock, reasons: tuple[str, str]) -> None:
        self.name = name
        self.rate = rate
        self._slots = slots
        self._clock = clock
        self._rate_reason, self._slots_reason = reasons

    @property
    def idle(self) -> bool:
        """Nothing goes on in it, and nothing is remembered."""
        return self._slots.idle and self.rate.idle

    async def enter(self, tenant_id: str, deadline: float, *, patient: bool, waited: Waited, site: str = "") -> None:
        """Wait for both. `BoundaryError` provider_busy where the deadline comes first; `patient` False: never wait.

        `site`: whose page it is for, where others' pages pass the same lane.
        """
        began = self._clock.monotonic()
        try:
            why = await self.rate.enter(tenant_id, deadline, patient=patient)
        except BoundaryError:
            # Who waited in vain shows what the limit costs as well as who got through.
            if (now := self._clock.monotonic()) > began:
                waited(self._rate_reason, now - began)
            raise
        now = self._clock.monotonic()
        if now > began:
            waited(self._rate_reason if why == "rate" else why, now - began)
        await self._slots.take(tenant_id, deadline, patient=patient, site=site)
        later = self._clock.monotonic()
        if later > now:
            waited(self._slots_reason, later - now)

    def leave(self, tenant_id: str, site: str = "") -> None:
        """The request has ended that entered with these."""
        self._slots.release(tenant_id, site)

    async def aclose(self) -> None:
        """Whoever waits is told. Safe to call twice."""
        self._slots.close()
        await self.rate.aclose()


class Lanes:
    """Makes lanes, with or without a Redis behind their rates, and keeps those of sites."""

    def __init__(self, *, clock: Clock, link: RedisLink | None, site: Limit | None) -> None:
        self._clock = clock
        self._link = link
        self._site_limit = site
        self._sites: OrderedDict[str, Lane] = OrderedDict()

    def of_provider(self, provider: str, limit: Limit) -> Lane:
        """A lane of its own."""
        return self._made(f"provider:{provider}", provider, limit, ("rate", "concurrency"))

    def of_site(self, host: str) -> Lane | None:
        """The lane of a host's site; None where sites are not limited, or for no host.

        A site is what somebody registered, so that a thousand names beneath it (`a1.example.com`) are asked as one.
        """
        if self._site_limit is None or not host:
            return None
        site = registrable(host)
        lane = self._sites.get(site)
        if lane is not None:
            self._sites.move_to_end(site)
            return lane
        if len(self._sites) >= MOST_SITES:
            self._forget()
        lane = self._sites[site] = self._made(
            f"site:{site}", "the site", self._site_limit, ("site_rate", "site_concurrency")
        )
        return lane

    def _forget(self) -> None:
        resting = [site for site, lane in self._sites.items() if lane.idle]
        for site in resting[: MOST_SITES // 4]:
            del self._sites[site]

    def _made(self, key: str, name: str, limit: Limit, reasons: tuple[str, str]) -> Lane:
        local = LocalBucket(per_second=limit.per_second, burst=limit.burst, clock=self._clock)
        bucket = local if self._link is None else SharedBucket(key, local=local, link=self._link)
        rate = RateGate(name, bucket, clock=self._clock)
        slots = Slots(name, limit.concurrency, clock=self._clock)
        return Lane(name, rate, slots, clock=self._clock, reasons=reasons)

    async def aclose(self) -> None:
        """Close the sites' lanes. Safe to call twice."""
        for lane in self._sites.values():
            await lane.aclose()
