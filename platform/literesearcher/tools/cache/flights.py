"""Single flight in one process: identical lookups at once run once, and who of those who wait pays.

Owns: who waits on whom, cancellation, what a lookup has spent and who has taken it. Refuses to know: what is looked up,
stores. Above: `cache.results`. A lookup that raises raises for all who wait and is forgotten. Who is cancelled leaves;
the lookup is cancelled when the last one has left.

Passengers settle by account. With one account for all, the first who waits takes what was spent and the others nothing.
With an account a tenant, the first of each takes it, whether the lookup lands or fails, as if nobody else were aboard.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from literesearcher.errors import BoundaryError
from literesearcher.research.events import ToolTry
from literesearcher.timing.clock import Clock
from literesearcher.tools.governor import Tally

_FAREWELL_SECONDS = 0.2
"""The last to leave waits so long for the lookup to end, so that what it had spent stands in the caller's item."""


@dataclass(eq=False, slots=True)
class Passenger:
    """One who waits. `began`: on the clock's monotonic time. `account`: see above."""

    tenant_id: str
    tally: Tally
    began: float
    account: str = ""


@dataclass(eq=False, slots=True)
class Flight:
    """A lookup under way. `tally`: all that it has spent; `taken`: how many of the tries each account has had."""

    founder: str
    tally: Tally = field(default_factory=Tally)
    aboard: list[Passenger] = field(default_factory=list)
    task: asyncio.Task[Any] | None = None
    landed: bool = False
    told: set[str] = field(default_factory=set)
    taken: dict[str, int] = field(default_factory=dict)

    @property
    def payer(self) -> str:
        """The tenant of the first who still waits."""
        return self.aboard[0].tenant_id if self.aboard else self.founder

    def place(self, passenger: Passenger) -> Part:
        """What this one is, while it is still aboard."""
        first = next(one for one in self.aboard if one.account == passenger.account)
        return Part(
            leads=not self.landed and self.aboard[0] is passenger,
            first=passenger.account not in self.told and first is passenger,
        )

    def settle(self, passenger: Passenger, *, seconds: float | None) -> None:
        """What was spent so far and its account has not had goes to this one; `seconds`: cut to so long."""
        tries = self.tally.tries[self.taken.get(passenger.account, 0) :]
        self.taken[passenger.account] = len(self.tally.tries)
        passenger.tally.tries.extend(tries if seconds is None else within(tries, seconds))


class Part(NamedTuple):
    """`leads`: the lookup was made for this passenger. `first`: it was the first of its account to be told."""

    leads: bool
    first: bool


def within(tries: Sequence[ToolTry], seconds: float) -> list[ToolTry]:
    """The tries as they read where all of them took so long together, for one who did not wait for the whole."""
    whole = sum(one.elapsed_seconds for one in tries)
    if whole <= seconds:
        return list(tries)
    share = max(0.0, seconds) / whole
    return [replace(one, elapsed_seconds=one.elapsed_seconds * share) for one in tries]


class Flights:
    """All lookups under way in this process, by key."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._flights: dict[str, Flight] = {}

    def under_way(self, key: str) -> bool:
        """True while somebody looks this up."""
        return key in self._flights

    async def join(self, key: str, passenger: Passenger, run: Callable[[Flight], Awaitable[Any]]) -> tuple[Any, Part]:
        """The result of the lookup under way or, where there is none, of `run`; and the passenger's part in it.

        `BoundaryError` `tools_closed` where the flights were closed meanwhile, else what the lookup raised.
        """
        flight = self._flights.get(key)
        # Who joins another's lookup under an account of its own is shown what it would have taken in its own time.
        joined = flight is not None and bool(passenger.account)
        flight = flight or self._begin(key, Flight(passenger.tenant_id), run)
        assert flight.task is not None
        flight.aboard.append(passenger)
        try:
            result = await asyncio.shield(flight.task)
        except asyncio.CancelledError:
            here = asyncio.current_task()
            if flight.task.cancelled() and here is not None and not here.cancelling():
                raise BoundaryError("the tools were closed", code="tools_closed") from None
            raise
        finally:
            part = flight.place(passenger)
            flight.aboard.remove(passenger)
            if flight.task.done():
                flight.landed = True
                flight.told.add(passenger.account)
            elif not flight.aboard:
                self._forget(key, flight)
                flight.task.cancel()
                await asyncio.wait({flight.task}, timeout=_FAREWELL_SECONDS)
            if part.first:
                flight.settle(passenger, seconds=self._clock.monotonic() - passenger.began if joined else None)
        return result, part

    def begin_in_background(
        self, key: str, tenant_id: str, run: Callable[[Flight], Awaitable[Any]], ended: Callable[[], None]
    ) -> None:
        """A lookup that nobody waits for. What it raises is dropped; `ended` is called however it ends."""
        flight = self._begin(key, Flight(tenant_id), run)
        assert flight.task is not None
        flight.task.add_done_callback(lambda _: ended())

    def _begin(self, key: str, flight: Flight, run: Callable[[Flight], Awaitable[Any]]) -> Flight:
        async def fly() -> Any:
            return await run(flight)

        flight.task = asyncio.create_task(fly())
        self._flights[key] = flight
        flight.task.add_done_callback(lambda task: self._landed(key, flight, task))
        return flight

    def _landed(self, key: str, flight: Flight, task: asyncio.Task[Any]) -> None:
        self._forget(key, flight)
        if not task.cancelled():
            task.exception()  # seen, also where everyone has left

    def _forget(self, key: str, flight: Flight) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]

    async def aclose(self) -> None:
        """Cancel what is under way. Safe to call twice."""
        tasks = [flight.task for flight in self._flights.values() if flight.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
