"""Archives and compressed files by their first bytes. Nothing here opens one: what unpacks without end is not unpacked.

Refuses to know: media types, where the bytes came from. Above: `tools.providers.direct`.
"""

from __future__ import annotations

_SIGNS = (
    b"PK\x03\x04",  # zip, and what is made of it: docx, xlsx, epub, jar
    b"PK\x05\x06",
    b"\x1f\x8b",  # gzip
    b"\x1f\x9d",  # compress
    b"BZh",
    b"\xfd7zXZ\x00",
    b"\x28\xb5\x2f\xfd",  # zstd
    b"\x04\x22\x4d\x18",  # lz4
    b"7z\xbc\xaf\x27\x1c",
    b"Rar!\x1a\x07",
    b"MSCF\x00\x00\x00\x00",
    b"!<arch>\n",
)
_TAR_AT = 257


def is_archive(head: bytes) -> bool:
    """Do these first bytes (512 are enough) begin an archive or a compressed file?"""
    return head.startswith(_SIGNS) or head[_TAR_AT : _TAR_AT + 5] == b"ustar"
