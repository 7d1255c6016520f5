"""A queued job's place: how many jobs start before it, and in how many seconds it may start. Pure.

Owns: the reckoning, which follows the order in which the store lets jobs be claimed; ties count as ahead. Nothing is
promised: higher priorities may still come, jobs may be cancelled, workers come and go.
Refuses to know: stores, clocks, HTTP. Above: the gateway. Below: what `Queue.line` counted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

EVEN: Mapping[str, float] = MappingProxyType({})
"""No tenant weighs more than another."""
SETTLED_SECONDS = 5.0
"""Where the first of a line has waited less, workers are still taking jobs: the line says nothing of waits."""


@dataclass(frozen=True, slots=True)
class TenantLine:
    """One tenant's open jobs, as one priority sees them."""

    held: int
    """Claimed by a worker."""
    first: int
    """Free, and before its jobs of that priority: begun before, or of a higher priority."""
    same: int
    """Free, of that priority."""


@dataclass(frozen=True, slots=True)
class Line:
    """What stands before one job. `tenants` has an entry for each tenant with open jobs."""

    tenant_id: str
    tenants: Mapping[str, TenantLine] = field(default_factory=dict)
    begun: int = 0
    """Free jobs that were begun before, of all tenants."""
    before: int = 0
    """The tenant's own free jobs of that priority that are older."""
    resumes: bool = False
    """The job itself was begun before."""
    head_seconds: float = 0.0
    """How long the first of the tenant's jobs of that priority has waited."""
    job_seconds: float | None = None
    """How long jobs of late took from their first start to their end; None where none ended."""

    @property
    def live(self) -> int:
        """Jobs that are claimed."""
        return sum(one.held for one in self.tenants.values())

    def ahead(self, weights: Mapping[str, float] = EVEN) -> int:
        """Jobs that start before it."""
        if self.resumes:
            return max(0, self.begun - 1)
        own = self.tenants.get(self.tenant_id, TenantLine(0, 0, 0))
        load = (own.held + own.first + self.before + 1) / weights.get(self.tenant_id, 1.0)
        ahead = sum(one.first for one in self.tenants.values()) + self.before
        for name, one in self.tenants.items():
            if name != self.tenant_id:
                turns = math.floor(load * weights.get(name, 1.0) + 1e-9) - one.held - one.first
                ahead += max(0, min(one.same, turns))
        return ahead

    def start_seconds(self, weights: Mapping[str, float] = EVEN) -> float | None:
        """Seconds until it may start, by how many jobs run and how long they took of late; None: nothing to tell by."""
        if self.job_seconds is None or not self.live:
            return None
        return (self.ahead(weights) + 1) * self.job_seconds / self.live

    def refusal_seconds(self, allowed: float, weights: Mapping[str, float] = EVEN) -> float | None:
        """None where it may wait in this line, else the seconds after which to ask again. Where nothing has ended of
        late, what the first of the line has waited already is the least that it will wait."""
        if self.head_seconds < SETTLED_SECONDS:
            return None
        expected = self.start_seconds(weights)
        expected = self.head_seconds if expected is None else expected
        return None if expected <= allowed else max(1.0, expected - allowed)
