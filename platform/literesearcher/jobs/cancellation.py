"""Cancelling a job from outside: a letter to its holder, or, where nobody holds it, its end at once.

Owns: that a cancelled job never waits for an orchestrator. Refuses to know: how a holder gives up its model call.
What the job had stays: its end is the machine's, from the journal as it is.
"""

from __future__ import annotations

from datetime import datetime

from literesearcher.errors import DamagedEvent, DurabilityError, UnfoldableEvent
from literesearcher.jobs.lifecycle import damaged_end
from literesearcher.jobs.live import Live, inbox_topic, journal_topic
from literesearcher.jobs.model import SUPPORTED_SCHEMA, Claim, Job, Letter
from literesearcher.jobs.ports import Store
from literesearcher.research import machine
from literesearcher.research.commands import End
from literesearcher.research.events import CancelRequested, EffectUnknown, Event

WORKER = "cancellation"
LEASE_SECONDS = 30.0


async def cancel(store: Store, live: Live, *, tenant_id: str, job_id: str, now: datetime) -> Job:
    """The job as it is afterwards: `cancelling` where a holder will end it, else ended. NotFound if unknown."""
    job = await store.post(tenant_id, job_id, Letter("cancel"))
    if job.status != "cancelling":
        return job
    await live.ring(inbox_topic(job_id))
    claims = await store.claim(WORKER, lease_seconds=LEASE_SECONDS, job_id=job_id)
    if not claims:
        return job
    (claim,) = claims
    try:
        await _end(store, claim, now)
    except DamagedEvent as error:
        await store.end_unread(job_id, claim.fence, at=now, end=damaged_end(error))
    except UnfoldableEvent:
        await store.release(job_id, claim.fence, requires_schema=SUPPORTED_SCHEMA + 1)
    except DurabilityError:
        # Deleted or taken over meanwhile: it is another's to end.
        await store.release(job_id, claim.fence)
    await live.ring(journal_topic(job_id))
    return await store.get(tenant_id, job_id)


async def _end(store: Store, claim: Claim, now: datetime) -> None:
    journal = await store.read(claim.job.id)
    state = machine.fold(journal)
    events: list[Event] = []
    if state.pending_intent is not None:
        seq, intent = state.pending_intent
        events.append(EffectUnknown(intent_seq=seq, intent_type=intent.type, turn=intent.turn))
    events.append(CancelRequested())
    first = journal[-1].seq + 1
    for index, event in enumerate(events):
        state = machine.apply(state, event, seq=first + index, at=now.timestamp())
    command = machine.decide(state)
    assert isinstance(command, End), "a cancelled job has nothing left to do"
    await store.append(
        claim.job.id,
        fence=claim.fence,
        expected_seq=first,
        attempt=claim.attempt,
        at=now,
        events=[*events, command.event],
    )
