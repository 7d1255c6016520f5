"""The whole error tree. Every failure is attributed once, at the border it crossed.

    LiteResearcherError(code, message)
    |- CallerError            the request is wrong; the caller can fix it (names the field)
    |  |- NotFound            no such thing for this tenant
    |  |- Conflict            the request contradicts what is stored
    |  |- Unauthorized        no key, a wrong key, or a browser's cross-site request
    |  |- BudgetSpent         the tenant has spent what it may spend today
    |  `- QueueFull           a job that would come now would wait longer than the operator lets jobs wait
    |- BoundaryError          a dependency failed (transient or not; may say when to try again)
    |  |- PromptTooLong       the model server refused the prompt as too long
    |  |- CallLost            the replica that had the call is gone, and the call with it
    |  |- ReplicaLeaving      the replica is to stop: the call was not begun, and belongs elsewhere
    |  `- DamagedEvent        the store holds an event that no program wrote so
    |- DurabilityError        the journal cannot be trusted to this writer any more
    |  |- LeaseLost           another holder has the job (stale fence) or the lease ran out
    |  |- SequenceConflict    the expected sequence number is stale
    |  `- UnfoldableEvent     a newer version wrote an event that this version cannot fold
    `- ConfigurationError     the program must not start (CLI exit code 2)

Codes are stable: clients, dashboards and tests match on them. HTTP statuses live in one table in the gateway.
What the model can act on is a value that it reads, never one of these. Imports nothing.
"""

from __future__ import annotations


class LiteResearcherError(Exception):
    """Root of the tree. `code` is stable snake_case, `message` one sentence for a person, without secrets."""

    default_code = "error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code


class CallerError(LiteResearcherError):
    """The request is wrong. `field` names what to change (dotted path), None where no single field is at fault."""

    default_code = "invalid_request"

    def __init__(self, message: str, *, code: str | None = None, field: str | None = None) -> None:
        super().__init__(message, code=code)
        self.field = field


class NotFound(CallerError):
    """No such thing for this tenant; the same answer whether it never existed or belongs to another tenant."""

    default_code = "not_found"


class Conflict(CallerError):
    """The request contradicts what is stored, such as an idempotency key used again with another body."""

    default_code = "conflict"


class Unauthorized(CallerError):
    """No key, an unknown or revoked key, or a request that a keyless server does not take from a browser."""

    default_code = "unauthorized"


class BudgetSpent(CallerError):
    """The tenant has spent what it may spend on tools today. `retry_after`: seconds until the next day (UTC)."""

    default_code = "budget_spent"

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class QueueFull(CallerError):
    """A job that would come now would wait too long to start. `retry_after`: seconds until it may be asked again."""

    default_code = "queue_full"

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class BoundaryError(LiteResearcherError):
    """A dependency failed. `transient`: trying again may help; `retry_after`: seconds the dependency asked for."""

    default_code = "dependency_failed"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        transient: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, code=code)
        self.transient = transient
        self.retry_after = retry_after


class PromptTooLong(BoundaryError):
    """The model server refused the prompt as longer than its context. Never transient."""

    default_code = "prompt_too_long"


class CallLost(BoundaryError):
    """The replica that had the call is gone, and the call with it. Always transient: made again, another has it."""

    default_code = "engine_unreachable"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message, code=code, transient=True)


class ReplicaLeaving(BoundaryError):
    """The replica takes no such call any more, since it is to stop. Nothing was begun: go elsewhere at once."""

    default_code = "replica_leaving"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message, code=code, transient=True)


class DamagedEvent(BoundaryError):
    """An event's payload is damaged in the store: its job cannot be gone on with. Never transient."""

    default_code = "store_corrupt"


class DurabilityError(LiteResearcherError):
    """This writer may not go on with the job; what is journalled stays valid."""

    default_code = "durability"


class LeaseLost(DurabilityError):
    """The fence is stale or the lease ran out by the database's clock."""

    default_code = "lease_lost"


class SequenceConflict(DurabilityError):
    """An append named an expected sequence number that is not the journal's next one."""

    default_code = "sequence_conflict"


class UnfoldableEvent(DurabilityError):
    """An event type or version that this program cannot fold; the job stays for a program that can."""

    default_code = "unfoldable_event"


class ConfigurationError(LiteResearcherError):
    """The program must not start. The message says what is wrong and the way out."""

    default_code = "configuration"
