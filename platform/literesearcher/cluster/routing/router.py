"""Ray Serve's request router by the policy: one in each calling process, for the deployment `Engine`.

Owns: what of Ray becomes what of the policy, that each waiting call gets the replica chosen for it (all children of a
Serve request share one id in Ray's own table, which loses some), the decision's way back to the caller.
Refuses to know: how a decision is made. Loaded by Ray's processes alone, named as `request_router_class`; Ray 2.60.0.
Its keyword arguments are fixed for the life of a caller; what changes comes with the replicas' reports (`stats`).
"""

from __future__ import annotations

import asyncio
from typing import Any
from weakref import WeakKeyDictionary

from ray.serve._private.common import ReplicaID, RequestMetadata
from ray.serve.request_router import PendingRequest, RequestRouter, RunningReplica

from literesearcher.cluster.ray_metrics import ray_metric
from literesearcher.cluster.routing.hint import KEYWORD, RouteHint, Taken
from literesearcher.cluster.routing.policy import Decision, Turn, route
from literesearcher.cluster.routing.view import ReplicasView
from literesearcher.telemetry.router_metrics import RouterMetrics
from literesearcher.timing.clock import SystemClock

UNHINTED = RouteHint(prompt=4_000)
"""What is thought of a call that says nothing of itself, such as one over HTTP."""


class PrefixRouter(RequestRouter):
    """Sends a job's turns to the replica that holds its prefix, while that is the cheapest way."""

    # Ray gives a replica a tenth of a second to say its queue, then asks the next rank: on a busy machine, or at a
    # process' first call, that would move jobs off their prefixes. A dead replica is an error at once all the same.
    queue_len_response_deadline_s = 2.0
    max_queue_len_response_deadline_s = 5.0

    def initialize_state(self, **kwargs: Any) -> None:
        """Called by Ray once, after construction. It takes no keyword arguments, for none could be changed."""
        if kwargs:
            raise ValueError(f"the router takes no keyword arguments: {', '.join(sorted(kwargs))}")
        self._view = ReplicasView(SystemClock())
        # Weak: a call may be cancelled at any point.
        self._decided: WeakKeyDictionary[asyncio.Future[Any], tuple[Decision, Turn]] = WeakKeyDictionary()
        self._router_metrics = RouterMetrics(ray_metric)

    def update_replicas(self, replicas: list[RunningReplica]) -> None:
        """Membership or reports changed."""
        self._view.heard((_name(one), one.replica_metadata, one.routing_stats) for one in replicas)
        super().update_replicas(replicas)

    async def choose_replicas(
        self, candidate_replicas: list[RunningReplica], pending_request: PendingRequest | None = None
    ) -> list[list[RunningReplica]]:
        """The policy's ranks; Ray takes the shortest queue within a rank, and the next rank where none takes more."""
        if pending_request is None or not candidate_replicas:
            return [candidate_replicas]
        # Without it Ray's loop asks again without a pause.
        pending_request.routing_context.should_backoff = True
        by_name = _within_reach(pending_request, {_name(replica): replica for replica in candidate_replicas})
        turn = _turn(pending_request)
        decision = route(turn, self._view.replicas(by_name), self._view.parameters())
        self._decided[pending_request.future] = decision, turn
        return [[by_name[name] for name in rank] for rank in decision.ranks]

    def _fulfill_next_pending_request(
        self, replica: RunningReplica, request_metadata: RequestMetadata | None = None
    ) -> None:
        """Give the replica to the very call it was chosen for."""
        for pending in self._pending_requests_to_fulfill:
            if pending.metadata is request_metadata and not pending.future.done():
                self._cancel_routing_task_for_pending_request(pending)
                self._record_queue_wait_time(pending)
                self._note(pending, _name(replica))
                pending.future.set_result(replica)
                self._remove_pending_request_from_indices(pending)
                return

    def on_request_completed(self, replica_id: ReplicaID, internal_request_id: str) -> None:
        """Called by Ray at the end of each call that was sent, and of each that could not be."""
        self._view.ended(replica_id.unique_id, internal_request_id)

    def _note(self, pending: PendingRequest, name: str) -> None:
        decision, turn = self._decided[pending.future]
        chosen = name == decision.replica or (decision.label == "choices" and name in decision.ranks[0])
        label = decision.label if chosen else "overflow"
        seconds = decision.seconds if chosen else None
        kept = min(turn.kept, turn.prompt) if name == turn.last else 0
        added = turn.prompt - kept
        self._view.sent(name, pending.metadata.internal_request_id, prefill=added, kv=added + turn.generated)
        self._router_metrics.sent(label, seconds, self._view.age(name))
        hint = pending.kwargs.get(KEYWORD)
        if isinstance(hint, RouteHint):
            hint.taken = Taken(replica=name, label=label, home=decision.home, seconds=seconds)


def _turn(pending: PendingRequest) -> Turn:
    hint = pending.kwargs.get(KEYWORD)
    hint = hint if isinstance(hint, RouteHint) else UNHINTED
    return Turn(
        job=pending.metadata.session_id,
        prompt=max(0, hint.prompt),
        generated=max(0, hint.generated),
        last=hint.last,
        kept=max(0, hint.kept),
        nonce=f"{pending.metadata.internal_request_id} {id(pending)}",
    )


def _within_reach(pending: PendingRequest, by_name: dict[str, RunningReplica]) -> dict[str, RunningReplica]:
    """Without those that the caller is to avoid, if others are left."""
    hint = pending.kwargs.get(KEYWORD)
    if not isinstance(hint, RouteHint) or not hint.avoid:
        return by_name
    others = {name: replica for name, replica in by_name.items() if name not in hint.avoid}
    hint.insist = not others
    return others or by_name


def _name(replica: RunningReplica) -> str:
    return str(replica.replica_id.unique_id)
