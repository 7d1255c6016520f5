"""What a failed call of a Serve replica means: one exception of Ray in, one attributed error out.

Owns: the table. A call lost with its replica is transient: the one retry owner, above, makes it again, elsewhere.
Refuses to know: what was called, retries. Above: `serve_engine`, `serve_tools`. Errors of the replicas' own code never
come here: they travel as values.
"""

from __future__ import annotations

from grpc import StatusCode  # type: ignore[import-untyped]
from grpc.aio import AioRpcError  # type: ignore[import-untyped]
from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.serve.exceptions import BackPressureError, RayServeException, RequestCancelledError

from literesearcher.errors import BoundaryError, CallLost

BUSY_SECONDS = 1.0
"""When to come again where every replica has all it may have."""
FAILURES = (RayError, RayServeException, AioRpcError)
"""All that a call of a handle raises, beside cancellation."""


def lost_call(error: Exception, what: str, *, room: str) -> BoundaryError:
    """The error of a call of `what` ("the engine"); codes begin with `room`."""
    name = type(error).__name__
    if isinstance(error, BackPressureError):
        return BoundaryError(
            f"{what} has all it may have", code=f"{room}_busy", transient=True, retry_after=BUSY_SECONDS
        )
    if isinstance(error, RayActorError | RequestCancelledError) or _hung_up(error):
        said = f"a replica of {what} left in mid-call ({name})"
        if room == "tools":
            # Whether it was carried out, and paid for, nobody knows; a lost generation costs only its time.
            return BoundaryError(said, code="tools_lost", transient=True)
        return CallLost(said, code=f"{room}_unreachable")
    if isinstance(error, RayTaskError):
        return BoundaryError(f"{what} failed on itself ({type(error.cause).__name__})", code=f"{room}_error")
    return BoundaryError(f"{what} cannot be reached ({name})", code=f"{room}_unreachable", transient=True)


def _hung_up(error: Exception) -> bool:
    """Replicas call each other by gRPC, where one that stops says this."""
    return isinstance(error, AioRpcError) and error.code() in (StatusCode.UNAVAILABLE, StatusCode.CANCELLED)
