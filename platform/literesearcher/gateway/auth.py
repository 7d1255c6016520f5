"""Who asks: API keys and their tenants, and when a server may go without any.

The rule: a key is required as soon as the store holds a live one or a bootstrap file is set. Without any, requests
are the tenant `default`, but only where the server listens on loopback or ANONYMOUS=true says so. A key that is sent
must be good, also where none is required. Refuses to know: routes; how keys are kept (`jobs.keys`).
"""

from __future__ import annotations

from starlette.datastructures import Headers

from literesearcher.errors import ConfigurationError, Unauthorized
from literesearcher.jobs.keys import bootstrap_token
from literesearcher.jobs.ports import Keys
from literesearcher.settings.model import Settings
from literesearcher.settings.own_site import is_loopback

DEFAULT_TENANT = "default"
"""Tenant of keyless requests and of the bootstrap key."""


async def has_live_keys(keys: Keys) -> bool:
    """Does the store hold a key that is not revoked?"""
    return any(key.revoked_at is None for key in await keys.list_keys())


def check_exposure(settings: Settings, has_keys: bool) -> None:
    """ConfigurationError where the gateway would be open to others: beyond loopback, keyless, not said to be so."""
    gateway = settings.gateway
    if is_loopback(gateway.host) or has_keys or gateway.anonymous:
        return
    raise ConfigurationError(
        f"the gateway would serve {gateway.host} without any API key: make one with `literesearcher keys create`, "
        "name a LITERESEARCHER_GATEWAY__BOOTSTRAP_KEY_FILE, listen on 127.0.0.1, "
        "or set LITERESEARCHER_GATEWAY__ANONYMOUS=true",
        code="exposed_without_key",
    )


async def bootstrap(keys: Keys, settings: Settings) -> bool:
    """Put the bootstrap file's key into the store, once; True where there is such a file. ConfigurationError names
    the file where it cannot be read, holds no key, or holds one that was revoked."""
    path = settings.gateway.bootstrap_key_file
    if path is None:
        return False
    key, _ = await keys.create_key(DEFAULT_TENANT, "bootstrap", token=bootstrap_token(path))
    if key.revoked_at is not None:
        raise ConfigurationError(
            f"the key in the bootstrap key file {path} was revoked: put a new one there", code="bootstrap_key_revoked"
        )
    return True


class Doors:
    """Finds the tenant of a request."""

    def __init__(self, keys: Keys, settings: Settings) -> None:
        self._keys = keys
        gateway = settings.gateway
        self._key_required = gateway.bootstrap_key_file is not None or not (
            is_loopback(gateway.host) or gateway.anonymous
        )

    async def tenant_of(self, headers: Headers) -> str:
        """The tenant; `Unauthorized` with code `key_missing` or `key_invalid`."""
        token = presented_token(headers)
        if token is None:
            if self._key_required or await has_live_keys(self._keys):
                raise Unauthorized("send an API key: `Authorization: Bearer lr_ID_SECRET`", code="key_missing")
            return DEFAULT_TENANT
        key = await self._keys.authenticate(token)
        if key is None:
            raise Unauthorized("the API key is unknown or was revoked", code="key_invalid")
        return key.tenant_id


def presented_token(headers: Headers) -> str | None:
    """The token that a request carries, "" where it carries something else in a token's place, None for none."""
    authorization = headers.get("authorization")
    if authorization is not None:
        scheme, _, token = authorization.partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""
    return headers.get("x-api-key")
