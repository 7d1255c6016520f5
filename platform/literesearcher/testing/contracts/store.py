"""The job store's contract: what every implementation of `jobs.ports.Store` passes, in parts.

A test subclasses `StoreContract` and gives two fixtures: `store`, empty, and `second`, another handle on the same data.
Happy, missing, duplicate, concurrent, cancelled in mid-call, taken over, fenced out, closed twice.
"""

from __future__ import annotations

import asyncio

import pytest

from literesearcher.errors import CallerError, Conflict, NotFound
from literesearcher.jobs.ports import Store
from literesearcher.testing.contracts.store_jobs import JobsContract
from literesearcher.testing.contracts.store_journal import InboxContract, JournalContract
from literesearcher.testing.contracts.store_ledger import LedgerContract
from literesearcher.testing.contracts.store_line import LineContract
from literesearcher.testing.contracts.store_pages import PagesContract
from literesearcher.testing.contracts.store_queue import QueueContract


class KeysContract:
    """`store` and `second` are fixtures of the subclass."""

    async def test_a_key_lets_in_until_it_is_revoked(self, store: Store, second: Store) -> None:
        """Also in the other handle; revoking twice keeps the first instant."""
        key, token = await store.create_key("acme", "laptop")
        prefix, key_id, secret = token.split("_", 2)
        assert (prefix, f"key_{key_id}") == ("lr", key.id)
        assert len(secret) >= 32
        assert (key.tenant_id, key.name, key.revoked_at) == ("acme", "laptop", None)
        assert await second.authenticate(token) == key
        revoked = await second.revoke_key(key.id)
        assert revoked.revoked_at is not None
        assert await store.authenticate(token) is None
        assert await store.revoke_key(key.id) == revoked

    async def test_wrong_tokens(self, store: Store) -> None:
        """Another secret, another id, cut, padded, and texts that are no tokens at all."""
        _, token = await store.create_key("acme", "one")
        other, other_token = await store.create_key("umbrella", "two")
        _, key_id, secret = token.split("_", 2)
        mixed = f"lr_{key_id}_{other_token.split('_', 2)[2]}"
        wrong = [
            mixed,
            token[:-1],
            token + "0",
            token.upper(),
            f" {token}",
            f"{token}\n",
            secret,
            "",
            "lr__",
            "\x00" * 30,
        ]
        wrong += [f"lr_{other.id}_{secret}", "\ud800" * 30, "é" * 30, "x" * 100_000, "' OR 1=1 --" * 3]
        assert [await store.authenticate(text) for text in wrong] == [None] * len(wrong)

    async def test_a_bootstrap_token_is_inserted_once(self, store: Store, second: Store) -> None:
        """By many at once too; revoked, it stays revoked at the next start."""
        for token in ("lr_0123456789abcdef0123456789abcdef_" + "s" * 43, "any-form-of-20-characters!"):
            made = await asyncio.gather(
                *(handle.create_key("acme", "bootstrap", token=token) for handle in [store, second] * 4)
            )
            assert len({key.id for key, _ in made}) == 1
            assert {given for _, given in made} == {token}
            assert await store.authenticate(token) == made[0][0]
            await store.revoke_key(made[0][0].id)
            key, _ = await store.create_key("acme", "bootstrap", token=token)
            assert key.revoked_at is not None
            assert await store.authenticate(token) is None
        assert len(await store.list_keys()) == 2

    async def test_a_token_with_a_known_id_and_another_secret(self, store: Store) -> None:
        """Conflict; the key that is there goes on to work."""
        key, token = await store.create_key("acme", "one")
        with pytest.raises(Conflict):
            await store.create_key("umbrella", "two", token=token[: -len("abcd")] + "zzzz")
        assert await store.authenticate(token) == key

    @pytest.mark.parametrize("token", ["", "short", "with space in it, and long", "tab\t" * 10, "é" * 30, "x" * 513])
    async def test_a_token_in_no_form(self, store: Store, token: str) -> None:
        """CallerError names the field."""
        with pytest.raises(CallerError) as caught:
            await store.create_key("acme", "bootstrap", token=token)
        assert caught.value.field == "token"

    async def test_keys_are_listed_newest_first(self, store: Store) -> None:
        """Revoked ones too; an unknown one is NotFound."""
        keys = [(await store.create_key("acme", f"k{n}"))[0] for n in range(3)]
        await store.revoke_key(keys[0].id)
        listed = await store.list_keys()
        assert [key.name for key in listed] == ["k2", "k1", "k0"]
        assert [key.revoked_at is not None for key in listed] == [False, False, True]
        for unknown in ("key_" + "0" * 32, "key_\x00", ""):
            with pytest.raises(NotFound):
                await store.revoke_key(unknown)


class StoreContract(
    JobsContract,
    PagesContract,
    QueueContract,
    LineContract,
    JournalContract,
    LedgerContract,
    InboxContract,
    KeysContract,
):
    """All of it."""
