"""What a call that was lost between replicas means, where they call each other by gRPC."""

from __future__ import annotations

import pytest

grpc = pytest.importorskip("grpc", reason="pip install 'literesearcher[cluster]'")
pytest.importorskip("ray", reason="pip install 'literesearcher[cluster]'")

from grpc.aio import AioRpcError, Metadata  # noqa: E402

from literesearcher.cluster.serve_failures import FAILURES, lost_call  # noqa: E402


def broken(code: str) -> AioRpcError:
    return AioRpcError(grpc.StatusCode[code], Metadata(), Metadata(), details="as gRPC has it")


@pytest.mark.parametrize("code", ["UNAVAILABLE", "CANCELLED"])
def test_a_replica_that_hung_up_is_a_call_that_may_be_made_again(code: str) -> None:
    error = broken(code)
    assert isinstance(error, FAILURES)
    told = lost_call(error, "the engine", room="engine")
    assert (told.code, told.transient) == ("engine_unreachable", True)
    assert "left in mid-call" in told.message
    assert lost_call(error, "the tools", room="tools").code == "tools_lost"


@pytest.mark.parametrize("code", ["INTERNAL", "RESOURCE_EXHAUSTED"])
def test_any_other_failure_of_grpc_is_no_lost_tool_call(code: str) -> None:
    error = broken(code)
    assert isinstance(error, FAILURES)
    assert lost_call(error, "the tools", room="tools").code == "tools_unreachable"
