"""Which replica takes a turn: a pure function of the job, the replicas and what they say of themselves.

Owns: the home (rendezvous hash, weighted by the static size of each KV pool), the cost of a turn on a replica in
seconds, the bound in KV tokens, the hysteresis of a move, what holds where nobody knows the load. The home depends on
nothing that changes from second to second, so every caller names the same; load acts only in the decision to spill.
Refuses to know: Ray, clocks, where figures come from. Above: `router`, and simulators.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from literesearcher.engine.load import EngineLoad

Label = Literal["home", "stay", "spill", "rehome", "fallback", "choices", "overflow"]
"""Why a replica was taken. `home`: the job's home, with or without its prefix. `stay`: another, where its prefix is.
`spill`: moved, for it is cheaper elsewhere. `rehome`: the prefix was on a replica that is gone or leaving. `fallback`:
home or prefix, the load unknown. `choices`: no job, the better of two. `overflow`: the chosen one took no more calls
(given by the router, which alone learns of that)."""
UNKNOWN_WEIGHT = 1.0


@dataclass(frozen=True, slots=True)
class Parameters:
    """What an operator may change at any time; the home depends on none of them."""

    full: float = 0.9
    """Share of a KV pool beyond which nothing is moved there, and beyond which a turn costs what it evicts."""
    options: int = 3
    """Replicas within their bound that a job looks at, in its own order: few, so that callers whose figures are a
    second old do not all move to the same one."""
    hysteresis: float = 0.2
    """A move must be cheaper by this share."""
    margin_seconds: float = 0.25
    """And by this many seconds: a turn takes seconds, and figures are up to two seconds old."""
    prefill_per_second: float = 20_000.0
    """Where no replica says its own: a 4B model in bf16 on one large card. Where some do, the others are taken to be
    like them: one that has served nothing yet must not look faster than those that have."""
    seconds_per_neighbour: float = 0.0002
    """What one more running request adds to each token of the others."""
    eviction: float = 2.0
    """Tokens prefilled again for each token beyond the bound: those evicted, and those that they evict in turn."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What is to be routed. Tokens."""

    job: str
    """Empty: it belongs to no job."""
    prompt: int
    generated: int = 500
    """About how many will be generated."""
    last: str | None = None
    """The replica that served the job's last turn."""
    kept: int = 0
    """How many of the prompt lie there."""
    nonce: str = ""
    """Spreads calls that belong to no job."""


@dataclass(frozen=True, slots=True)
class Replica:
    """One replica as a caller sees it."""

    id: str
    weight: float | None = None
    """Tokens of its KV pool, fixed for its life. None: it never said."""
    load: EngineLoad | None = None
    """None: it never said, or too long ago."""
    sent_prefill: int = 0
    """Uncached prompt tokens of this caller's own calls that the load does not show yet."""
    sent_kv: int = 0
    """KV tokens of them."""
    sent_calls: int = 0
    leaving: float = 0.0
    """Above 0 it takes no new jobs, and of those whose prefix it holds this share goes elsewhere at each turn, so that
    the others' pools are not flooded at once."""


@dataclass(frozen=True, slots=True)
class Decision:
    """`ranks`: whom to ask in which order, the chosen one first; members of a rank are equally good."""

    replica: str
    label: Label
    home: str
    ranks: tuple[tuple[str, ...], ...]
    seconds: float | None = None
    """What the turn is thought to cost there, without its own decoding alone. None: unknown."""


def order(job: str, replicas: Sequence[Replica]) -> list[Replica]:
    """The replicas as the job prefers them, its home first. One that comes or goes changes nothing in the order of
    the others, and each is first for a share of jobs in proportion to its weight."""
    known = [replica.weight for replica in replicas if replica.weight]
    usual = sum(known) / len(known) if known else UNKNOWN_WEIGHT
    scored = [(_score(job, replica.id, replica.weight or usual), replica.id, replica) for replica in replicas]
    return [replica for _, _, replica in sorted(scored, key=lambda one: (-one[0], one[1]))]


def route(turn: Turn, replicas: Sequence[Replica], parameters: Parameters) -> Decision:
    """Decide. ValueError without replicas."""
    if not replicas:
        raise ValueError("no replica to route to")
    parameters = with_known_rate(parameters, replicas)
    staying = [replica for replica in replicas if replica.leaving <= 0]
    preferred = order(turn.job or turn.nonce, staying or replicas)
    if not turn.job:
        return _choice(turn, preferred, parameters)
    home = preferred[0]
    last = next((replica for replica in replicas if replica.id == turn.last), None)
    if last is not None and (last.leaving <= 0 or not staying or _lot(turn, last.id) >= last.leaving):
        base, kept = last, min(turn.kept, turn.prompt)
        label: Label = "home" if last.id == home.id else "stay"
    else:
        base, kept = home, 0
        label = "home" if turn.last is None else "rehome"
    if base.load is None or not staying:
        return _decision(base, "fallback", home, preferred)
    costs = {base.id: cost(turn, base, kept, parameters)}
    options = [other for other in preferred if other.load is not None and _fits(turn, other, base, kept, parameters)]
    for other in options[: parameters.options]:
        if other.id != base.id:
            costs[other.id] = cost(turn, other, 0, parameters)
    best = min(costs, key=lambda one: (costs[one], one != base.id))
    saved = costs[base.id] - costs[best]
    if best == base.id or saved < parameters.margin_seconds or saved < parameters.hysteresis * costs[base.id]:
        return _decision(base, label, home, preferred, costs[base.id])
    target = next(replica for replica in preferred if replica.id == best)
    return _decision(target, "spill", home, preferred, costs[best])


def with_known_rate(parameters: Parameters, replicas: Sequence[Replica]) -> Parameters:
    """With what the replicas that say their prefill rate have in common, where some do."""
    rates = [replica.load.prefill_per_second for replica in replicas if replica.load]
    known = [rate for rate in rates if rate > 0]
    return dataclasses.replace(parameters, prefill_per_second=statistics.median(known)) if known else parameters


def cost(turn: Turn, replica: Replica, kept: int, parameters: Parameters) -> float:
    """Seconds of the turn there: what stands before it, its own uncached tokens, how much slower its tokens come for
    its neighbours, and what it evicts. Its own decoding alone is the same everywhere and left out."""
    load = replica.load or EngineLoad(kv_capacity=0)
    rate = load.prefill_per_second if load.prefill_per_second > 0 else parameters.prefill_per_second
    neighbours = load.running + load.waiting + replica.sent_calls
    before = load.queued_prefill + replica.sent_prefill
    over = _over(turn, replica, kept, parameters)
    return (
        before + turn.prompt - kept + parameters.eviction * over
    ) / rate + turn.generated * neighbours * parameters.seconds_per_neighbour


def _over(turn: Turn, replica: Replica, kept: int, parameters: Parameters) -> float:
    """Tokens beyond the bound with the turn in it."""
    if replica.load is None or replica.load.kv_capacity <= 0:
        return 0.0
    held = replica.load.kv_used + replica.sent_kv
    return max(0.0, held + turn.prompt - kept + turn.generated - parameters.full * replica.load.kv_capacity)


def _fits(turn: Turn, replica: Replica, base: Replica, kept: int, parameters: Parameters) -> bool:
    return _over(turn, replica, kept if replica.id == base.id else 0, parameters) <= 0


def _choice(turn: Turn, preferred: Sequence[Replica], parameters: Parameters) -> Decision:
    two = preferred[:2]
    if all(replica.load is not None for replica in two):
        two = sorted(two, key=lambda one: cost(turn, one, 0, parameters))
        return _decision(two[0], "choices", preferred[0], preferred, cost(turn, two[0], 0, parameters))
    both = tuple(replica.id for replica in two)
    rest = tuple(replica.id for replica in preferred[2:])
    return Decision(both[0], "choices", preferred[0].id, (both, rest) if rest else (both,))


def _decision(
    chosen: Replica, label: Label, home: Replica, preferred: Sequence[Replica], seconds: float | None = None
) -> Decision:
    """Where the chosen one takes no more: the better of the job's next two, then any."""
    others = [replica.id for replica in preferred if replica.id != chosen.id]
    ranks = ((chosen.id,), tuple(others[:2]), tuple(others[2:]))
    return Decision(chosen.id, label, home.id, tuple(rank for rank in ranks if rank), seconds)


def _score(job: str, replica: str, weight: float) -> float:
    """Weighted rendezvous hashing: the highest score wins."""
    return -weight / math.log(_uniform(job, replica))


def _lot(turn: Turn, replica: str) -> float:
    """Drawn at each turn of a job on a replica that is leaving, 0 to 1; the same whoever draws it."""
    return _uniform("leaving", turn.job, replica, str(turn.prompt))


def _uniform(*parts: str) -> float:
    """Above 0 and below 1."""
    key = "\0".join(parts).encode("utf-8", "surrogatepass")
    return (int.from_bytes(hashlib.blake2b(key, digest_size=8).digest()) + 0.5) / 2**64
