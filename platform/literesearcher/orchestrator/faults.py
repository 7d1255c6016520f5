"""Named points at which a test may make the process die. In production nothing happens at any of them.

Owns: the names and the port. Refuses to know: how a test dies there; `testing.faults` brings that. The points lie
around every commit of a job, so that a crash at each of them, at each hit, covers what a real crash can leave behind.
"""

from __future__ import annotations

from typing import Literal, Protocol, get_args

FaultPoint = Literal[
    "after_claim",
    "before_intent",
    "after_intent",
    "during_effect",
    "before_result",
    "after_result",
    "before_end",
    "after_end",
]
FAULT_POINTS: tuple[FaultPoint, ...] = get_args(FaultPoint)
"""In the order in which a job meets them. `before_*` and `after_*` stand on the two sides of the commit."""


class Faults(Protocol):
    """What happens at a point."""

    def reach(self, point: FaultPoint, job_id: str) -> None:
        """Return to go on, raise a BaseException that is no Exception to die here."""
        ...


class NoFaults:
    """Nothing happens at any point."""

    def reach(self, point: FaultPoint, job_id: str) -> None:
        """Go on."""
