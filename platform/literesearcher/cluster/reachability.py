"""Whether a Ray answers at an address, lets this process in, and is the pinned one; asked before it is joined.

Owns: that question and a sentence for each answer. Ray's own way of joining takes a minute to find out that nobody is
there, says of a wrong token that nobody is, and ends the whole process where versions differ. Refuses to know: Serve.
Above: `cluster.serving`. Ray reads its token from the environment (RAY_AUTH_MODE, RAY_AUTH_TOKEN, ..._TOKEN_PATH).
"""

from __future__ import annotations

import re

from literesearcher.cluster.release import RAY, require_ray
from literesearcher.errors import BoundaryError, ConfigurationError

ANSWER_SECONDS = 15.0
_ADDRESS = re.compile(r"(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+):\d{1,5}")


def find_ray(address: str) -> str:
    """`HOST:PORT` of the Ray that `address` means; `auto` is the one that this node belongs to. ConfigurationError
    where Ray is missing or another version here or there, or the address is none; BoundaryError `ray_unreachable` or
    `ray_refused`."""
    require_ray()
    if address == "auto":
        address = _own_cluster()
    elif not _ADDRESS.fullmatch(address):
        raise ConfigurationError(
            f"LITERESEARCHER_CLUSTER__ADDRESS={address} is no address of a Ray: HOST:PORT of its head (port 6379 where "
            "it was not chosen), or auto"
        )
    version = _asked(address)
    if version and version != RAY:
        raise ConfigurationError(
            f"Ray at {address} is {version}, and this version works with Ray {RAY}", code="ray_version"
        )
    return address


def _asked(address: str) -> str:
    """Its version."""
    import grpc  # type: ignore[import-untyped]
    from ray._private.grpc_utils import init_grpc_channel
    from ray.core.generated.gcs_service_pb2 import CheckAliveRequest  # type: ignore[attr-defined]
    from ray.core.generated.gcs_service_pb2_grpc import NodeInfoGcsServiceStub
    from ray.exceptions import AuthenticationError

    try:
        with init_grpc_channel(address) as channel:
            answer = NodeInfoGcsServiceStub(channel).CheckAlive(CheckAliveRequest(), timeout=ANSWER_SECONDS)  # type: ignore[no-untyped-call]
    except AuthenticationError:
        raise _refused(address) from None
    except grpc.RpcError as error:
        if error.code() in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
            raise _refused(address) from None
        raise BoundaryError(f"there is no Ray at {address}", code="ray_unreachable") from None
    return str(answer.ray_version)


def _own_cluster() -> str:
    from ray._private.services import canonicalize_bootstrap_address

    try:
        found = canonicalize_bootstrap_address("auto")
    except (ConnectionError, ValueError):
        found = None
    if found is None:
        raise BoundaryError(
            "LITERESEARCHER_CLUSTER__ADDRESS=auto, but this machine is no node of a Ray", code="ray_unreachable"
        )
    return str(found)


def _refused(address: str) -> BoundaryError:
    return BoundaryError(
        f"Ray at {address} does not let this process in: RAY_AUTH_TOKEN, or the file that RAY_AUTH_TOKEN_PATH names, "
        "must hold the cluster's token",
        code="ray_refused",
    )
