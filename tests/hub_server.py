"""A model hub on loopback, as far as downloading goes: what a model's files are, and their bytes, by range.

Owns: the wire form of `huggingface_hub`'s calls, counts of what was sent, and wishes for things to go wrong.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "c0ffee" + "0" * 34
MODEL = "some-lab/Tiny-1B"


def shard(name: str, size: int) -> bytes:
    """A safetensors file of one tensor."""
    header = json.dumps({name: {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    return len(header).to_bytes(8, "little") + header + hashlib.sha256(name.encode()).digest() * (size // 32)


def checkpoint(size: int = 4 * 1024 * 1024) -> dict[str, bytes]:
    """Files of a small checkpoint of two shards of about `size` bytes, and two that nobody needs."""
    config = {
        "vocab_size": 1000,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 4096,
    }
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    return {
        "config.json": json.dumps(config).encode(),
        "tokenizer.json": b"{}",
        "model.safetensors.index.json": json.dumps({"weight_map": {"a": names[0], "b": names[1]}}).encode(),
        names[0]: shard("a", size),
        names[1]: shard("b", size),
        "pytorch_model.bin": b"not wanted",
        "onnx/model.safetensors": b"not wanted",
    }


class Hub:
    """The server. Wishes are attributes that a test sets."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.status: tuple[int, str] | None = None
        """Every call is answered with this status and error code."""
        self.pause_after: int | None = None
        """Each file's body stops after so many bytes, until `go_on`."""
        self.told_sizes: dict[str, int] = {}
        """Sizes that the plan says, where they are not the real ones."""
        self.said: dict[str, bytes] = {}
        """Bytes that are sent in place of a file's own."""
        self.commit: str | None = COMMIT
        """What the plan says that it is of."""
        self.elsewhere: Hub | None = None
        """Another server, to which every download is sent on."""
        self.paused = threading.Event()
        self.go_on = threading.Event()
        self.requests: list[tuple[str, str | None]] = []
        """(file, Range) of each download."""
        self.tokens: set[str | None] = set()
        self.url = ""

    @property
    def sent(self) -> dict[str, int]:
        """How often each file was asked for."""
        return {name: sum(asked == name for asked, _ in self.requests) for name in self.files}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, format: str, *args: Any) -> None:
        return

    def do_GET(self) -> None:
        hub = self.hub
        hub.tokens.add(self.headers.get("Authorization"))
        if hub.status is not None:
            status, code = hub.status
            return self._send(status, b"{}", {"X-Error-Code": code, "X-Error-Message": "as wished"})
        path = unquote(urlsplit(self.path).path)
        if path.startswith(f"/api/models/{MODEL}/revision/"):
            revision = path.rpartition("/")[2]
            if revision not in ("main", COMMIT):
                return self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
            return self._send(200, json.dumps(self._plan()).encode(), {"Content-Type": "application/json"})
        if path.startswith(f"/{MODEL}/resolve/{COMMIT}/") and hub.elsewhere is not None:
            return self._send(302, b"", {"Location": hub.elsewhere.url + self.path})
        if path.startswith(f"/{MODEL}/resolve/{COMMIT}/"):
            return self._file(path.partition(f"{COMMIT}/")[2])
        return self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})

    def _plan(self) -> dict[str, Any]:
        siblings = []
        for name, content in self.hub.files.items():
            size = self.hub.told_sizes.get(name, len(content))
            one: dict[str, Any] = {"rfilename": name, "size": size, "blobId": "b"}
            if name.endswith(".safetensors"):
                one["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": size, "pointerSize": 1}
            siblings.append(one)
        return {
            "id": MODEL,
            "modelId": MODEL,
            "sha": self.hub.commit,
            "siblings": siblings,
            "private": False,
            "tags": [],
        }

    def _file(self, name: str) -> None:
        hub = self.hub
        asked = self.headers.get("Range")
        hub.requests.append((name, asked))
        content = hub.said.get(name, hub.files[name])
        begin = int(asked.removeprefix("bytes=").split("-")[0]) if asked else 0
        body = content[begin:]
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            if hub.pause_after is not None and len(body) > hub.pause_after and not hub.go_on.is_set():
                self.wfile.write(body[: hub.pause_after])
                self.wfile.flush()
                body = body[hub.pause_after :]
                hub.paused.set()
                hub.go_on.wait(120)
            self.wfile.write(body)
        except OSError:
            self.close_connection = True

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving(files: dict[str, bytes]) -> Iterator[Hub]:
    """A hub with these files, served while the block lasts."""
    hub = Hub(files)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.go_on.set()
        server.shutdown()
        server.server_close()
        thread.join()
