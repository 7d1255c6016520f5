"""One kept result as bytes and back: a versioned head, JSON, compressed where that pays.

Owns: the form and its limits. Refuses to know: keys, lifetimes, stores, what a value means. Bytes from the store are
not trusted: whatever is damaged, foreign, or would unpack into too much reads as nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson
import zstandard

from literesearcher.research.events import ToolTry

Status = Literal["found", "none", "missing"]
"""`none`: a search without results; `missing`: a page that is not there. Both are kept for the negative lifetime."""

_PLAIN, _PACKED = b"LRK\x01p", b"LRK\x01z"
"""Magic, version of the form, and whether the rest is compressed."""
_PACK_FROM_BYTES = 512
_LEVEL = 1
_MAX_BYTES = 64_000_000
"""Unpacked. Bodies of pages are 10 MB at most."""
PROVIDER = re.compile(r"[\w.:-]{0,100}", re.ASCII)
"""Form of their ids, and of outcome codes; "" where nobody was asked."""
_PAYER = re.compile(r"(?:[0-9a-f]{40})?", re.ASCII)
_DIGEST = re.compile(r"[\w-]{0,64}", re.ASCII)
_INSTANTS = (946_684_800.0, 4_102_444_800.0)
"""The years 2000 to 2099: what was fetched at another time was not fetched."""
_MAX_TRY_SECONDS = 86_400.0
_MAX_TRY_USD = 1_000.0
_MAX_TRIES = 1_000
_INLINE_CHARACTERS = 100_000
"""Longer texts are packed, unpacked and hashed in a thread, so that no other call waits on one."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A result and where it came from. `value`: JSON."""

    value: Any
    provider: str
    status: Status
    fetched_at: float
    """Unix seconds."""
    payer: str
    """Who paid: `payer_of` the tenant, from which no tenant can be read."""
    digest: str = ""
    """SHA-256 hex of the page text, or of the value as JSON."""
    tries: list[ToolTry] = field(default_factory=list)

    @property
    def negative(self) -> bool:
        """True where nothing was found."""
        return self.status != "found"

    @property
    def cost_usd(self) -> float:
        """What it cost when it was fetched."""
        return sum(one.cost_usd for one in self.tries)


def payer_of(tenant_id: str) -> str:
    """A hash of the tenant under a salt of its own: two entries of one tenant have nothing in common."""
    salt = secrets.token_bytes(8)
    return salt.hex() + _hash(tenant_id, salt)


def paid_by(entry: Entry, tenant_id: str) -> bool:
    """True where this tenant's call paid for the entry."""
    try:
        salt = bytes.fromhex(entry.payer[:16])
    except ValueError:
        return False
    return hmac.compare_digest(_hash(tenant_id, salt).encode(), entry.payer[16:].encode())


def _hash(tenant_id: str, salt: bytes) -> str:
    return hashlib.blake2b(tenant_id.encode("utf-8", "replace"), key=salt, digest_size=12).hexdigest()


def sealed(entry: Entry) -> bytes:
    """The entry as bytes. `TypeError` where the value is no JSON, such as text that is no Unicode."""
    return _packed(
        orjson.dumps(
            {
                "value": entry.value,
                "provider": entry.provider,
                "status": entry.status,
                "fetched_at": entry.fetched_at,
                "payer": entry.payer,
                "digest": entry.digest,
                "cost_usd": entry.cost_usd,
                "tries": [[one.provider, one.outcome, one.elapsed_seconds, one.cost_usd] for one in entry.tries],
            }
        )
    )


def opened(data: bytes) -> Entry | None:
    """The entry, None where the bytes are not one of this version."""
    plain = _unpacked(data)
    if plain is None:
        return None
    try:
        fields = orjson.loads(plain)
        return Entry(
            value=fields["value"],
            provider=text_of(fields["provider"], PROVIDER),
            status=_status(fields["status"]),
            fetched_at=instant(fields["fetched_at"]),
            payer=text_of(fields["payer"], _PAYER),
            digest=text_of(fields["digest"], _DIGEST),
            tries=_tries(fields["tries"]),
        )
    except (ValueError, TypeError, KeyError):
        return None


async def sealed_text(text: str) -> bytes:
    """A page's text as bytes."""
    if len(text) <= _INLINE_CHARACTERS:
        return _packed(text.encode("utf-8", "replace"))
    return await asyncio.to_thread(lambda: _packed(text.encode("utf-8", "replace")))


async def opened_text(data: bytes, digest: str) -> str | None:
    """The text, None where the bytes are damaged or the text is not the one that the digest names."""
    if len(data) <= _INLINE_CHARACTERS // 4:
        return _checked_text(data, digest)
    return await asyncio.to_thread(_checked_text, data, digest)


async def digest_of(text: str) -> str:
    """SHA-256 hex of the text as UTF-8."""
    if len(text) <= _INLINE_CHARACTERS:
        return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
    return await asyncio.to_thread(lambda: hashlib.sha256(text.encode("utf-8", "replace")).hexdigest())


def _checked_text(data: bytes, digest: str) -> str | None:
    plain = _unpacked(data)
    if plain is None or hashlib.sha256(plain).hexdigest() != digest:
        return None
    return plain.decode("utf-8", "replace")


def _packed(plain: bytes) -> bytes:
    if len(plain) < _PACK_FROM_BYTES:
        return _PLAIN + plain
    return _PACKED + zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(plain)


def _unpacked(data: bytes) -> bytes | None:
    head, rest = data[: len(_PLAIN)], data[len(_PLAIN) :]
    if head == _PLAIN:
        return rest if len(rest) <= _MAX_BYTES else None
    if head != _PACKED:
        return None
    try:
        # A frame that does not say its size was not written here, and one that says too much is a bomb.
        if not 0 <= zstandard.frame_content_size(rest) <= _MAX_BYTES:
            return None
        return zstandard.ZstdDecompressor().decompress(rest, max_output_size=_MAX_BYTES)
    except zstandard.ZstdError:
        return None


def text_of(value: Any, form: re.Pattern[str] | None = None) -> str:
    """The value, a string of this form; ValueError where it is not."""
    if not isinstance(value, str) or (form is not None and form.fullmatch(value) is None):
        raise ValueError("not such a text")
    return value


def number(value: Any, low: float, high: float) -> float:
    """The value, a number within these bounds; ValueError where it is not."""
    if type(value) not in (int, float) or not low <= value <= high:
        raise ValueError("not such a number")
    return float(value)


def instant(value: Any) -> float:
    """Unix seconds at which something may have been fetched; ValueError for others."""
    return number(value, *_INSTANTS)


def _status(value: Any) -> Status:
    if value not in ("found", "none", "missing"):
        raise ValueError("not a status")
    status: Status = value
    return status


def _tries(value: Any) -> list[ToolTry]:
    if not isinstance(value, list) or len(value) > _MAX_TRIES:
        raise ValueError("not a list of tries")
    return [
        ToolTry(
            text_of(provider, PROVIDER),
            text_of(outcome, PROVIDER),
            number(seconds, 0.0, _MAX_TRY_SECONDS),
            number(cost, 0.0, _MAX_TRY_USD),
        )
        for provider, outcome, seconds, cost in value
    ]
