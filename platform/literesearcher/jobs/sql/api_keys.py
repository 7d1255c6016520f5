"""API keys in SQL: synchronous operations over one connection, each one transaction.

Owns: that a token is inserted once, and that an unknown key takes the path of a known one. Refuses to know: the
token's form (`jobs.keys`).
"""

from __future__ import annotations

from sqlalchemy import Connection, func, select, update

from literesearcher.errors import Conflict, NotFound
from literesearcher.jobs.keys import Credential, same_digest
from literesearcher.jobs.model import ApiKey
from literesearcher.jobs.sql import rows
from literesearcher.jobs.sql.schema import api_keys, insert_new, unix_now

_NO_DIGEST = "0" * 64
"""Compared with where there is no such key, so that an unknown id takes the same path."""


def not_found(key_id: str) -> NotFound:
    """The answer for a key that never was."""
    return NotFound(f"there is no key {key_id}", field="id")


def create(conn: Connection, credential: Credential, *, tenant_id: str, name: str) -> ApiKey:
    """Insert the key, or give the one that this token already has."""
    values = {"tenant_id": tenant_id, "name": name, "digest": credential.digest, "created_at": unix_now()}
    insert_new(conn, api_keys, id=credential.key_id, **values)
    row = conn.execute(select(*rows.KEY_COLUMNS).where(api_keys.c.id == credential.key_id)).one()
    if not same_digest(row.digest, credential.digest):
        raise Conflict(f"the key {credential.key_id} exists with another secret", code="key_exists", field="token")
    return rows.api_key(row)


def every(conn: Connection) -> list[ApiKey]:
    """Newest first."""
    newest_first = (api_keys.c.created_at.desc(), api_keys.c.id.desc())
    return [rows.api_key(row) for row in conn.execute(select(*rows.KEY_COLUMNS).order_by(*newest_first))]


def revoke(conn: Connection, key_id: str) -> ApiKey:
    """The first revocation's instant stays."""
    row = conn.execute(
        update(api_keys)
        .where(api_keys.c.id == key_id)
        .values(revoked_at=func.coalesce(api_keys.c.revoked_at, unix_now()))
        .returning(*rows.KEY_COLUMNS)
    ).one_or_none()
    if row is None:
        raise not_found(key_id)
    return rows.api_key(row)


def find(conn: Connection, credential: Credential) -> ApiKey | None:
    """The live key whose secret this is."""
    row = conn.execute(select(*rows.KEY_COLUMNS).where(api_keys.c.id == credential.key_id)).one_or_none()
    right = same_digest(_NO_DIGEST if row is None else row.digest, credential.digest)
    if row is None or not right or row.revoked_at is not None:
        return None
    return rows.api_key(row)
