"""Keys and tenants: who may ask, and that nobody sees another's jobs, on any route."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from literesearcher.errors import ConfigurationError
from literesearcher.gateway.auth import bootstrap, check_exposure, has_live_keys
from literesearcher.jobs.keys import new_token
from literesearcher.settings.model import Settings
from literesearcher.settings.sections import GatewaySection
from literesearcher.testing.journal_events import attempt, ended
from literesearcher.testing.memory_store import MemoryStore
from literesearcher.testing.served_gateway import FAST, PATIENCE, Served
from literesearcher.timing.clock import SystemClock

Start = Callable[..., Awaitable[Served]]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def two_tenants(served: Served) -> tuple[dict[str, str], dict[str, str]]:
    _, one = await served.store.create_key("one", "")
    _, two = await served.store.create_key("two", "")
    return bearer(one), bearer(two)


class TestIsolation:
    async def test_another_tenant_s_job_is_not_there_on_any_route(self, served: Served) -> None:
        one, two = await two_tenants(served)
        job_id = await served.create("mine", headers=one)
        await served.append(job_id, attempt())
        for method, path in [
            ("GET", ""),
            ("HEAD", ""),
            ("GET", "/events"),
            ("GET", "/events?after=1"),
            ("POST", "/cancel"),
            ("DELETE", ""),
        ]:
            theirs = await served.call(method, f"/v1/research/{job_id}{path}", headers=two)
            nobody = "job_" + "0" * 32
            unknown = await served.call(method, f"/v1/research/{nobody}{path}", headers=two)
            assert theirs[0] == unknown[0] == 404
            if theirs[2] is not None:
                assert _without_id(theirs[2], job_id) == _without_id(unknown[2], nobody)
        assert (await served.call("GET", "/v1/research", headers=two))[2]["data"] == []
        mine = (await served.call("GET", f"/v1/research/{job_id}", headers=one))[2]
        assert mine["status"] == "running", "nothing of what the other sent had any effect"

    async def test_a_404_asks_the_store_the_same_whoever_owns_the_job(self, start: Start) -> None:
        """No timing to tell them apart: one path, one question to the store."""
        asked: list[str] = []

        class Watched(MemoryStore):
            async def get(self, tenant_id: str, job_id: str) -> Any:
                asked.append("get")
                return await super().get(tenant_id, job_id)

            async def read(self, job_id: str, *, after: int = 0, limit: int | None = None) -> Any:
                asked.append("read")
                return await super().read(job_id, after=after, limit=limit)

        served = await start(store=Watched(SystemClock()))
        one, two = await two_tenants(served)
        job_id = await served.create("mine", headers=one)
        asked.clear()
        await served.call("GET", f"/v1/research/{job_id}", headers=two)
        theirs, asked[:] = list(asked), []
        await served.call("GET", "/v1/research/job_" + "0" * 32, headers=two)
        assert theirs == asked == ["get"]

    async def test_idempotency_keys_are_each_tenant_s_own(self, served: Served) -> None:
        one, two = await two_tenants(served)
        key = {"Idempotency-Key": "same"}
        first = await served.create("a", headers=one | key)
        second = await served.create("b", headers=two | key)
        assert first != second
        assert (await served.store.get("two", second)).input == "b"

    async def test_a_cursor_of_one_opens_nothing_of_the_other(self, served: Served) -> None:
        one, two = await two_tenants(served)
        for number in range(3):
            await served.create(f"one's {number}", headers=one)
        mine = await served.create("two's", headers=two)
        cursor = (await served.call("GET", "/v1/research?limit=1", headers=one))[2]["next_cursor"]
        status, _, page = await served.call("GET", "/v1/research", params={"cursor": cursor}, headers=two)
        if status == 200:
            assert {job["id"] for job in page["data"]} <= {mine}

    async def test_the_keyless_tenant_does_not_see_them_either(self, served: Served) -> None:
        keyless = await served.create("keyless")
        one, _ = await two_tenants(served)
        assert (await served.call("GET", f"/v1/research/{keyless}", headers=one))[0] == 404
        assert (await served.call("GET", f"/v1/research/{keyless}"))[0] == 401


class TestOpenStreams:
    async def test_a_stream_ends_when_its_key_is_revoked_and_no_other_does(self, start: Start) -> None:
        served = await start(pace=replace(FAST, admission_seconds=0.1))
        key, token = await served.store.create_key("one", "")
        _, other = await served.store.create_key("one", "")
        job_id = await served.create(headers=bearer(token))
        path = f"{served.base}/v1/research/{job_id}/events"
        async with (
            asyncio.timeout(PATIENCE),
            served.session.get(path, headers=bearer(token)) as revoked,
            served.session.get(path, headers=bearer(other)) as kept,
        ):
            heard = b""
            while b"keep-alive" not in heard:
                heard += await revoked.content.readany()
            await served.store.revoke_key(key.id)
            heard += await revoked.content.read()
            assert b"key" in heard.split(b"keep-alive")[-1]
            await served.append(job_id, attempt(), ended())
            assert b"event: job.ended" not in heard
            assert b"event: job.ended" in await kept.content.read()


class TestKeys:
    async def test_as_soon_as_there_is_a_key_it_is_required(self, served: Served) -> None:
        assert (await served.call("GET", "/v1/research"))[0] == 200
        key, token = await served.store.create_key("one", "")
        for path in ("/v1/research", "/v1/models", "/v1/research?limit=x", "/v1/research/x/events"):
            status, headers, problem = await served.call("GET", path)
            assert (status, problem.get("error", problem)["code"]) == (401, "key_missing")
            assert headers["WWW-Authenticate"].startswith("Bearer")
        assert (await served.call("GET", "/v1/research", headers=bearer(token)))[0] == 200
        assert (await served.call("GET", "/v1/research", headers={"X-API-Key": token}))[0] == 200
        assert (await served.call("GET", "/livez"))[0] == 200
        await served.store.revoke_key(key.id)
        assert (await served.call("GET", "/v1/research", headers=bearer(token)))[0] == 401

    @pytest.mark.parametrize(
        "authorization",
        [
            "Bearer",
            "Bearer ",
            "Bearer lr_x_y",
            "Bearer \u00e9\u00e9",
            "Bearer " + "a" * 5000,
            "Basic dXNlcjpwYXNz",
            "lr_ID_SECRET",
            "Bearer ' OR 1=1 --",
        ],
    )
    async def test_a_wrong_key_is_refused_also_where_none_is_required(self, served: Served, authorization: str) -> None:
        status, headers, problem = await served.call("GET", "/v1/research", headers={"Authorization": authorization})
        assert (status, problem["code"]) == (401, "key_invalid")
        assert 'error="invalid_token"' in headers["WWW-Authenticate"]

    async def test_the_secret_of_another_key_opens_nothing(self, served: Served) -> None:
        _, one = await served.store.create_key("one", "")
        _, two = await served.store.create_key("two", "")
        mixed = "_".join([*one.split("_")[:2], two.split("_", 2)[2]])
        assert (await served.call("GET", "/v1/research", headers=bearer(mixed)))[0] == 401

    async def test_beyond_loopback_a_key_is_required_though_all_were_revoked(self, start: Start) -> None:
        served = await start(host="0.0.0.0")
        assert (await served.call("GET", "/v1/research"))[0] == 401
        open_to_all = await start(host="0.0.0.0", anonymous=True)
        assert (await open_to_all.call("GET", "/v1/research"))[0] == 200

    async def test_an_ended_job_is_still_its_tenant_s_alone(self, served: Served) -> None:
        one, two = await two_tenants(served)
        job_id = await served.create("mine", headers=one)
        await served.append(job_id, attempt(), ended())
        assert (await served.call("GET", f"/v1/research/{job_id}/events", headers=two))[0] == 404


class TestExposure:
    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.9.10"])
    def test_loopback_needs_no_key(self, host: str) -> None:
        check_exposure(_settings(host=host), has_keys=False)

    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.com", "", "localhost.example.com"])
    def test_other_hosts_need_one_or_the_word(self, host: str) -> None:
        with pytest.raises(ConfigurationError, match="ANONYMOUS"):
            check_exposure(_settings(host=host), has_keys=False)
        check_exposure(_settings(host=host), has_keys=True)
        check_exposure(_settings(host=host, anonymous=True), has_keys=False)


class TestBootstrap:
    async def test_the_key_is_inserted_once_and_opens_the_default_tenant(self, start: Start, tmp_path: Path) -> None:
        token = new_token()
        file = tmp_path / "key"
        file.write_text(token + "\n")
        store = MemoryStore(SystemClock())
        settings = _settings(bootstrap_key_file=file)
        assert await bootstrap(store, settings)
        assert await bootstrap(store, settings)
        assert len(await store.list_keys()) == 1
        assert await has_live_keys(store)
        served = await start(store=store, bootstrap_key_file=file)
        assert (await served.call("GET", "/v1/research"))[0] == 401
        job_id = await served.create(headers=bearer(token))
        assert (await store.get("default", job_id)).tenant_id == "default"

    async def test_without_a_file_there_is_nothing_to_do(self) -> None:
        assert not await bootstrap(MemoryStore(SystemClock()), _settings())

    @pytest.mark.parametrize("content", [b"", b"\n", b"short", b"two words of some length here", b"\xff" * 40])
    async def test_a_file_that_holds_no_key_is_named(self, tmp_path: Path, content: bytes) -> None:
        file = tmp_path / "key"
        file.write_bytes(content)
        with pytest.raises(ConfigurationError, match=str(file)):
            await bootstrap(MemoryStore(SystemClock()), _settings(bootstrap_key_file=file))

    async def test_a_missing_file_and_a_folder_are_named(self, tmp_path: Path) -> None:
        for path in (tmp_path / "missing", tmp_path):
            with pytest.raises(ConfigurationError, match=str(path)):
                await bootstrap(MemoryStore(SystemClock()), _settings(bootstrap_key_file=path))

    async def test_a_revoked_key_stays_revoked_and_is_said(self, tmp_path: Path) -> None:
        file = tmp_path / "key"
        file.write_text(new_token())
        store = MemoryStore(SystemClock())
        await bootstrap(store, _settings(bootstrap_key_file=file))
        [key] = await store.list_keys()
        await store.revoke_key(key.id)
        with pytest.raises(ConfigurationError, match="revoked"):
            await bootstrap(store, _settings(bootstrap_key_file=file))


def _settings(**gateway: Any) -> Settings:
    return Settings(gateway=GatewaySection(**gateway))


def _without_id(problem: dict[str, Any], job_id: str) -> dict[str, Any]:
    return {name: str(value).replace(job_id, "ID") for name, value in problem.items()}
