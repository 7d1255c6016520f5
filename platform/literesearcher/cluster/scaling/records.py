"""What replicas record for the policies (`record_autoscaling_stats`), and how the policies read it of Ray's context.

Owns: the names of the records, their age, and that what cannot be read is missing: never an error, for a policy that
raises leaves its application unhealthy. A figure that is not known is left out. Refuses to know: the rules, Ray.
Callers: the replicas of the three applications on one side, `ray_policies` on the other.
"""

from __future__ import annotations

import math
from dataclasses import asdict, fields
from typing import Any, NamedTuple

from literesearcher.cluster.scaling.queue_policies import ToolsLoad
from literesearcher.cluster.scaling.steps import Fleet
from literesearcher.engine.load import EngineLoad

STALE_SECONDS = 10.0
"""Records come each second and are up to 2.5 s old: so old, several in a row did not come."""
_LOAD = tuple(field.name for field in fields(EngineLoad))
_TTFT = "ttft_seconds"
_ALLOWED = "allowed"
_MOST = 1e15
"""Beyond it no figure of a replica is one: sums and products of those below stay finite numbers."""
_UNREADABLE = (AttributeError, ArithmeticError, LookupError, TypeError, ValueError)


def engine_record(load: EngineLoad, *, ttft_seconds: float | None) -> dict[str, float]:
    """Of one engine replica. `ttft_seconds`: to the first token, of late."""
    record = {name: float(value) for name, value in asdict(load).items()}
    return record if ttft_seconds is None else {**record, _TTFT: ttft_seconds}


def work_record(queued: int | None, live: int | None) -> dict[str, float]:
    """The job store's counts, as one replica knows them."""
    return {name: float(count) for name, count in (("queued", queued), ("live", live)) if count is not None}


def allowed_record(jobs: int | None) -> dict[str, float]:
    """Jobs that the KV pools let one worker hold, None where they limit nothing."""
    return {} if jobs is None else {_ALLOWED: float(jobs)}


def tools_record(load: ToolsLoad) -> dict[str, float]:
    """Of one tool proxy."""
    return {"in_flight": float(load.in_flight), "headroom": load.headroom}


def fleet_of(ctx: Any) -> Fleet | None:
    """What there is and may be, None where even that cannot be read."""
    try:
        target = int(ctx.target_num_replicas)
        least, most = int(ctx.capacity_adjusted_min_replicas), int(ctx.capacity_adjusted_max_replicas)
        running = len(_running(ctx))
    except _UNREADABLE:
        return None
    return Fleet(target, min(target, running), least, max(least, most))


def engine_loads(ctx: Any) -> list[EngineLoad | None]:
    """Of each running replica, None of one that was not heard of lately."""
    return [_load(ctx, replica) for replica in _running(ctx)]


def tools_loads(ctx: Any) -> list[ToolsLoad | None]:
    """As `engine_loads`."""
    return [_tools(ctx, replica) for replica in _running(ctx)]


def work_of(ctx: Any) -> tuple[int | None, int | None]:
    """(queued, live). All replicas read one store, at other moments: what was recorded last, of one replica, since
    one's count beside another's would hold a job twice that was taken in between. None where none says it."""
    said = [(_point(ctx, "queued", one), _point(ctx, "live", one)) for one in _running(ctx)]
    known = [pair for pair in said if any(pair)]
    if not known:
        return None, None
    queued, live = max(known, key=lambda pair: max(point.at for point in pair if point))
    return (round(queued.value) if queued else None), (round(live.value) if live else None)


def allowed_of(ctx: Any) -> int | None:
    """Of all workers together, None where none is limited. One that has just come and was not heard of adds nothing."""
    said = [one for replica in _running(ctx) if (one := _value(ctx, _ALLOWED, replica)) is not None]
    return math.floor(sum(said)) if said else None


def ttft_of(ctx: Any) -> float | None:
    """The worst of the replicas, None where none said any."""
    return max((one for replica in _running(ctx) if (one := _value(ctx, _TTFT, replica)) is not None), default=None)


def _load(ctx: Any, replica: Any) -> EngineLoad | None:
    values: dict[str, Any] = {}
    for name in _LOAD:
        value = _value(ctx, name, replica)
        if value is None:
            return None
        values[name] = value if name.endswith("_per_second") else int(value)
    return EngineLoad(**values)


def _tools(ctx: Any, replica: Any) -> ToolsLoad | None:
    in_flight, headroom = _value(ctx, "in_flight", replica), _value(ctx, "headroom", replica)
    if in_flight is None or headroom is None:
        return None
    return ToolsLoad(int(in_flight), min(1.0, headroom))


def _running(ctx: Any) -> list[Any]:
    try:
        return list(ctx.running_replicas or ())
    except _UNREADABLE:
        return []


def _value(ctx: Any, name: str, replica: Any) -> float | None:
    """The last point's, None where there is none."""
    point = _point(ctx, name, replica)
    return point.value if point else None


class _Point(NamedTuple):
    at: float
    value: float


def _point(ctx: Any, name: str, replica: Any) -> _Point | None:
    """The last one, None where there is none, it is old, or it is no number from 0 to `_MOST`."""
    try:
        found = ctx.raw_metrics[name][replica][-1]
        point = _Point(float(found.timestamp), float(found.value))
        fresh = ctx.current_time is None or ctx.current_time - point.at <= STALE_SECONDS
    except _UNREADABLE:
        return None
    return point if fresh and 0 <= point.value <= _MOST else None
