"""Jobs with the turns of recorded rollouts, made of token ids: what they ask of an engine, and what is seen of it.

Owns: the structure of a rollout in tokens, one job from turn to turn. Refuses to know: Ray, which engine. Above:
`engine_replay`.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from literesearcher.cluster.serve_engine import ServeEngine
from literesearcher.engine.port import Generation, GenerationRequest
from literesearcher.engine.raw_call import RawCall
from literesearcher.errors import BoundaryError
from literesearcher.research.messages import Sampling
from literesearcher.testing.replay.rollouts import Case

PAUSES = {"search": 1.5, "visit": 7.9}


@dataclass(frozen=True)
class Step:
    """One turn: tokens that come before it, tokens that it generates, seconds that its tool takes."""

    new: int
    generated: int
    pause: float


@dataclass
class Seen:
    """What came of one arm at one number of jobs."""

    jobs: int = 0
    seconds: float = 0.0
    first: list[float] = field(default_factory=list)
    prompt: int = 0
    cached: int = 0
    generated: int = 0
    retracted: int = 0
    repeated: int = 0
    """Turns that were made again after an error that may pass."""


def steps_of(case: Case, count: Callable[[str], int], *, lengths: float, pauses: float, turns: int) -> list[Step]:
    """The structure of a rollout."""
    made, new = [], count(case.question)
    for turn in case.turns[:turns]:
        pause = PAUSES.get(turn.call.name, 0.0) if turn.call is not None else 0.0
        size = max(4, round(count(turn.text) * lengths))
        made.append(Step(max(4, round(new * lengths)), size, pause * pauses))
        new = count(turn.response or "")
    return made


def fitting(steps: list[Step], prompt: int, context: int) -> list[Step]:
    """As many turns as any arm has room for: the work is to be equal."""
    total, kept = prompt, []
    for step in steps:
        total += step.new + step.generated
        if total > context - 64:
            break
        kept.append(step)
    return kept


async def run_job(engine: ServeEngine, name: str, prompt: int, steps: list[Step], seen: Seen) -> None:
    """All turns of one job, behind a system prompt of so many tokens."""
    chance = random.Random(name)
    ids = [2000 + at % 5000 for at in range(prompt)]
    last, kept = None, 0
    for number, step in enumerate(steps, start=1):
        ids += [chance.randrange(1000, 100_000) for _ in range(step.new)]
        asked = GenerationRequest(
            name,
            (),
            Sampling(stop=()),
            step.generated,
            turn=number,
            prompt_tokens=len(ids),
            last_replica=last,
            kept_tokens=kept,
            raw=RawCall(prompt=tuple(ids), ignore_eos=True),
        )
        answer = await _turn(engine, asked, seen)
        given = list(answer.token_ids or ())
        seen.prompt += len(ids)
        seen.cached += answer.usage.cached_tokens or 0
        seen.generated += answer.usage.completion_tokens
        # What was cut at a piece of a character counts too.
        ids += given + [1000] * (step.generated - len(given))
        last, kept = answer.replica, len(ids)
        await asyncio.sleep(step.pause)
    await engine.release(name)
    seen.jobs += 1


async def _turn(engine: ServeEngine, asked: GenerationRequest, seen: Seen) -> Generation:
    for attempt in itertools.count():
        began = time.monotonic()
        first: list[float] = []

        async def heard(text: str, first: list[float] = first) -> None:
            first.append(time.monotonic())

        try:
            answer = await engine.generate(asked, timeout_seconds=9000, on_delta=heard)
        except BoundaryError as error:
            if not error.transient or attempt >= 5:
                raise
            seen.repeated += 1
            continue
        seen.first.append((first[0] if first else time.monotonic()) - began)
        return answer
    raise AssertionError
