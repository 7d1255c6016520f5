"""Single flight in one process: identical lookups at once run once, and who of those who wait pays.

Owns: who waits on whom, cancellation, the tally of a lookup until its payer takes it. Refuses to know: what is looked
up, stores. Above: `cache.results`. A lookup that raises raises for all who wait and is forgotten. Who is cancelled
leaves; the lookup is cancelled when the last one has left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from literesearcher.errors import BoundaryError
from literesearcher.tools.governor import Tally

_FAREWELL_SECONDS = 0.2
"""The last to leave waits so long for the lookup to end, so that what it had spent stands in the caller's item."""


@dataclass(eq=False, slots=True)
class Passenger:
    """One who waits."""

    tenant_id: str
    tally: Tally


@dataclass(eq=False, slots=True)
class Flight:
    """A lookup under way. `tally`: what it has spent that nobody has taken yet."""

    founder: str
    tally: Tally = field(default_factory=Tally)
    aboard: list[Passenger] = field(default_factory=list)
    task: asyncio.Task[Any] | None = None
    paid: bool = False

    @property
    def payer(self) -> str:
        """The tenant of the first who still waits."""
        return self.aboard[0].tenant_id if self.aboard else self.founder

    def settle(self, passenger: Passenger) -> None:
        """What was spent so far goes to this one."""
        passenger.tally.tries.extend(self.tally.tries)
        self.tally.tries.clear()


class Flights:
    """All lookups under way in this process, by key."""

    def __init__(self) -> None:
        self._flights: dict[str, Flight] = {}

    def under_way(self, key: str) -> bool:
        """True while somebody looks this up."""
        return key in self._flights

    async def join(self, key: str, passenger: Passenger, run: Callable[[Flight], Awaitable[Any]]) -> tuple[Any, bool]:
        """The result of the lookup under way or, where there is none, of `run`; and whether this passenger paid.

        `BoundaryError` `tools_closed` where the flights were closed meanwhile, else what the lookup raised.
        """
        flight = self._flights.get(key) or self._begin(key, Flight(passenger.tenant_id), run)
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
            first = not flight.paid and flight.aboard[0] is passenger
            flight.aboard.remove(passenger)
            if flight.task.done():
                flight.paid = True
            elif not flight.aboard:
                self._forget(key, flight)
                flight.task.cancel()
                await asyncio.wait({flight.task}, timeout=_FAREWELL_SECONDS)
            if first:
                flight.settle(passenger)
        return result, first

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
