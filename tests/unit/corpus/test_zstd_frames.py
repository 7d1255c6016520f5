"""A zstd file that was cut anywhere is told from a whole one, without unpacking it."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest
import zstandard

from literesearcher.corpus.record_files import BrokenFile, lines
from literesearcher.corpus.zstd_frames import is_whole

SKIPPABLE = (0x184D2A53).to_bytes(4, "little") + (5).to_bytes(4, "little") + b"extra"


def frames() -> list[bytes]:
    plain = zstandard.ZstdCompressor(write_checksum=False, write_content_size=False)
    checked = zstandard.ZstdCompressor(write_checksum=True)
    return [
        plain.compress(b"first " * 200),
        SKIPPABLE,
        checked.compress(b"\0" * 300_000 + os.urandom(40)),
        zstandard.compress(b""),
    ]


def test_every_cut_but_one_between_frames_is_seen():
    parts = frames()
    body = b"".join(parts)
    whole = {sum(map(len, parts[:count])) for count in range(len(parts) + 1)}
    assert {cut for cut in range(len(body) + 1) if is_whole(io.BytesIO(body[:cut]))} == whole


def test_large_frames_of_many_blocks():
    body = zstandard.compress(os.urandom(1_000_000))
    assert is_whole(io.BytesIO(body))
    assert not is_whole(io.BytesIO(body[:-1]))


@pytest.mark.parametrize("cut", [1, 4, 9, 2_000])
def test_a_cut_record_file_gives_its_lines_and_then_says_so(tmp_path: Path, cut: int):
    records = [json.dumps({"url": f"u:{n}", "doc": os.urandom(20).hex()}).encode() for n in range(500)]
    path = tmp_path / "r.jsonl.zst"
    body = zstandard.compress(b"\n".join(records[:250]) + b"\n") + zstandard.compress(b"\n".join(records[250:]))
    path.write_bytes(body)
    assert len(list(lines(path))) == 500
    path.write_bytes(body[:-cut])
    read: list[bytes | None] = []
    with pytest.raises(BrokenFile, match="to its end"):
        read.extend(line for _, line in lines(path))
    assert read[:250] == records[:250]
