"""What is said of an address before a Ray there is joined: nobody, somebody else, a wrong token, another version."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import pytest

pytest.importorskip("ray", reason="pip install 'literesearcher[cluster]'")

import grpc
from ray.core.generated import gcs_service_pb2

from literesearcher.cluster import release
from literesearcher.cluster.reachability import find_ray
from literesearcher.errors import BoundaryError, ConfigurationError


class Head:
    """The one call of a Ray's head that is asked."""

    def __init__(self) -> None:
        self.version = release.RAY
        self.refuses = False
        self._server = grpc.server(futures.ThreadPoolExecutor(2))
        answer = grpc.unary_unary_rpc_method_handler(
            self._alive,
            request_deserializer=gcs_service_pb2.CheckAliveRequest.FromString,
            response_serializer=gcs_service_pb2.CheckAliveReply.SerializeToString,
        )
        service = grpc.method_handlers_generic_handler("ray.rpc.NodeInfoGcsService", {"CheckAlive": answer})
        self._server.add_generic_rpc_handlers((service,))
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def _alive(self, _: Any, context: Any) -> Any:
        if self.refuses:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "InvalidAuthToken: Authentication token is missing")
        return gcs_service_pb2.CheckAliveReply(ray_version=self.version)

    def stop(self) -> None:
        self._server.stop(None).wait()


@pytest.fixture
def head() -> Iterator[Head]:
    one = Head()
    yield one
    one.stop()


def test_the_pinned_ray_is_found(head: Head) -> None:
    assert find_ray(head.address) == head.address


def test_another_version_there_is_said_before_it_is_joined(head: Head) -> None:
    head.version = "2.59.0"
    with pytest.raises(ConfigurationError, match=r"is 2\.59\.0, and this version works with Ray 2\.60\.0"):
        find_ray(head.address)


def test_a_wrong_token_is_told_from_nobody(head: Head) -> None:
    head.refuses = True
    with pytest.raises(BoundaryError, match="does not let this process in: RAY_AUTH_TOKEN") as refused:
        find_ray(head.address)
    assert refused.value.code == "ray_refused"


def test_nobody_and_somebody_else_are_no_ray() -> None:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
    with pytest.raises(BoundaryError, match=f"there is no Ray at 127.0.0.1:{port}") as gone:
        find_ray(f"127.0.0.1:{port}")
    assert gone.value.code == "ray_unreachable"
    other = grpc.server(futures.ThreadPoolExecutor(1))
    port = other.add_insecure_port("127.0.0.1:0")
    other.start()
    with pytest.raises(BoundaryError, match="there is no Ray at"):
        find_ray(f"127.0.0.1:{port}")
    other.stop(None).wait()


@pytest.mark.parametrize("address", ["", "head", "http://head:8265", "ray://head:10001", "head:port", "a b:1", "h:1\n"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigurationError, match="is no address of a Ray: HOST:PORT"):
        find_ray(address)
