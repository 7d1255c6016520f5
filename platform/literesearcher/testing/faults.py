"""Ways to die at a fault point of the orchestrator, for tests of what a crash leaves behind.

Owns: counting the hits of a point, and the death at the nth. Two forms: an exception that no handler of the platform
catches (the worker in this process is abandoned), and SIGKILL (for a subprocess; nothing is cleaned up at all).
Refuses to know: what the orchestrator does between the points.
"""

from __future__ import annotations

import os
import signal
from collections import Counter

from literesearcher.orchestrator.faults import FaultPoint


class Crash(BaseException):
    """The process is taken to be dead from here on. No Exception, so that no border handles it."""


class CrashAt:
    """Die at the `n`th hit (from 1) of `point`; whoever reaches any point after that is dead too. With `kill`, the
    whole process dies by SIGKILL.

    `hits` counts every point, so that a run with `n=0` (never) tells how many crashes a job can be given.
    """

    def __init__(self, point: FaultPoint, n: int, *, kill: bool = False) -> None:
        self.point = point
        self.n = n
        self.kill = kill
        self.dead = False
        self.hits: Counter[str] = Counter()

    def reach(self, point: FaultPoint, job_id: str) -> None:
        """Count, and die when it is time."""
        self.hits[point] += 1
        self.dead = self.dead or (point == self.point and self.hits[point] == self.n)
        if not self.dead:
            return
        if self.kill:
            os.kill(os.getpid(), signal.SIGKILL)
        raise Crash(f"{point}, hit {self.n}, {job_id}")
