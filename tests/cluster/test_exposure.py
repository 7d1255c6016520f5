"""What listens, and to whom: every socket of a local Ray that another machine could reach answers nobody without the
token, so that it runs nobody's code. Ray's own daemons listen on all interfaces, whatever address they are given.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray", reason="pip install 'literesearcher[cluster]'")

import grpc

from literesearcher.testing.timed_application import timed_configuration
from literesearcher.testing.timed_engine import Timing

METHODS = (
    "/ray.rpc.NodeInfoGcsService/CheckAlive",
    "/ray.rpc.NodeManagerService/RequestWorkerLease",
    "/ray.rpc.CoreWorkerService/PushTask",
    "/ray.rpc.ObjectManagerService/Push",
    "/ray.rpc.ReporterService/GetTraceback",
    "/ray.serve.ASGIService/HandleRequest",
)
"""One of each service that a process of Ray may offer."""
ANSWER_SECONDS = 20.0
LISTEN = "0A"


def listeners(leader: int, *, outside: bool = False) -> Iterator[tuple[str, int]]:
    """(command, port) of each listening socket of the leader's session; `outside`: that is not bound to loopback."""
    listening = {}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTEN:
                host, _, port = fields[1].rpartition(":")
                listening[f"socket:[{fields[9]}]"] = (host, int(port, 16))
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.getsid(int(entry.name)) != leader:
                continue
            command = (entry / "cmdline").read_bytes().split(b"\0")[0].decode(errors="replace")
            for file in (entry / "fd").iterdir():
                host, port = listening.get(os.readlink(file), ("", 0))
                # 127.x.x.x in the kernel's byte order, plain or mapped into IPv6.
                if port and not (outside and host.endswith("7F")):
                    yield command, port


def spoken_to(port: int) -> set[Any]:
    """Status of each method without a token."""
    heard = set()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        for method in METHODS:
            try:
                channel.unary_unary(method)(b"", timeout=ANSWER_SECONDS)
                heard.add(grpc.StatusCode.OK)
            except grpc.RpcError as error:
                heard.add(error.code())
    return heard


def asked(url: str, body: bytes | None = None) -> tuple[int, bytes]:
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_jobs_are_not_submitted_without_the_token(cluster: Any) -> None:
    """The agent of each node takes them over HTTP, on loopback: other users of the machine can reach it."""
    tried = []
    for port in {port for _, port in listeners(cluster.ray.leader)}:
        for host in ("127.0.0.1", "127.0.0.2"):
            with contextlib.suppress(OSError, http.client.HTTPException):
                status, said = asked(f"http://{host}:{port}/api/job_agent/jobs/", b'{"entrypoint": "touch /x"}')
                assert status in (401, 403, 404, 405), (status, said)
                tried.append(status)
    assert 401 in tried, tried


def test_nothing_that_others_can_reach_runs_their_code(cluster: Any) -> None:
    name = cluster.put(timed_configuration("exposed", Timing(), replicas=1))
    found = dict(map(reversed, listeners(cluster.ray.leader, outside=True)))
    assert any("gcs_server" in command for command in found.values()), found
    assert any("ServeReplica" in command for command in found.values()), found
    for port, command in found.items():
        heard = spoken_to(port)
        if heard == {grpc.StatusCode.UNAVAILABLE}:
            # Not gRPC: a page of numbers, whatever is asked for.
            status, said = asked(f"http://127.0.0.1:{port}/api/jobs/")
            assert (status, b"# HELP " in said) == (200, True), (command, said[:200])
            continue
        assert grpc.StatusCode.UNAUTHENTICATED in heard, (command, heard)
        assert grpc.StatusCode.OK not in heard, command
    cluster.remove(name)


@pytest.mark.parametrize("token", ["", "0" * 64])
def test_a_driver_without_the_token_is_not_let_in(cluster: Any, token: str, tmp_path: Path) -> None:
    script = f"import ray; ray.init(address={cluster.ray.address!r}); print('in')"
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "RAY_AUTH_MODE": "token" if token else "disabled"}
    environ |= {"RAY_AUTH_TOKEN": token} if token else {}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environ, capture_output=True, text=True, timeout=150, cwd=tmp_path
    )
    assert (done.returncode != 0, "in" in done.stdout.split()) == (True, False)
    assert "InvalidAuthToken" in done.stderr
