"""What the doctor asks of each part, one finding a part; none of them changes anything but the corpus's first build.

Owns: the questions and the ways out. Refuses to know: how findings are shown. A part that fails is a finding, never an
exception; the rest is asked all the same.
"""

from __future__ import annotations

import asyncio
import json
import platform
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr

from literesearcher.cli.local_corpus import corpus_dir, open_library, prepare_corpus, uses_local
from literesearcher.cli.prompt_files import read_prompts
from literesearcher.cli.provider_checks import told_of_pages, told_of_search
from literesearcher.cli.proxy_check import told_of_tools
from literesearcher.cli.session import TENANT
from literesearcher.cli.storage import opened_store, prepare_data_dir
from literesearcher.cli.wiring_engine import compressing_engine, main_engine, make_engine, sglang_weights
from literesearcher.engine.port import Engine
from literesearcher.errors import BoundaryError, ConfigurationError, LiteResearcherError
from literesearcher.settings.model import Settings
from literesearcher.settings.names import known
from literesearcher.timing.clock import SystemClock

LOW_DISK_BYTES = 500_000_000
ANSWER_SECONDS = 15
_OF_THE_PROXY = ("extractor", "search", "pages", "corpus", "cache")
_SERVER_WAY_OUT = "start the server, or correct LITERESEARCHER_ENGINE__BASE_URL, __API_KEY or __TOKENIZER_FILE"
_ENGINE_WAYS_OUT = {"sglang": "see docs/how-to/sglang.md", "transformers": "see docs/how-to/model-and-web.md"}
"""Of engines that hold the model themselves: there is no server to start."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`missing` is no fault: something that could be there is not. `way_out`: what to do."""

    subject: str
    state: Literal["ok", "missing", "broken"]
    told: str
    way_out: str | None = None


def configured(settings: Settings) -> list[tuple[str, str]]:
    """Name and value of every setting that differs from its default; secrets and passwords in URLs are masked."""
    shown = []
    for name, setting in known().items():
        place = getattr(settings, setting.section) if setting.section else settings
        value = getattr(place, setting.field)
        if value == setting.info.get_default(call_default_factory=True):
            continue
        shown.append((name, "****" if isinstance(value, SecretStr) else _masked(_typed(value))))
    return shown


def _typed(value: Any) -> str:
    """As one would type it."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    return json.dumps(value, default=str) if isinstance(value, list | dict | bool) else str(value)


def _masked(value: str) -> str:
    """A URL without its password; anything else as it is."""
    if "://" not in value or "@" not in value:
        return value
    parts = urlsplit(value)
    where = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{parts.username or ''}:****@{where}", query="").geturl()


async def checks(settings: Settings) -> AsyncIterator[Finding]:
    """All findings, in the order in which one thing rests on another."""
    yield Finding("version", "ok", f"{metadata.version('literesearcher')} on Python {platform.python_version()}")
    asked: list[tuple[str, Callable[[Settings], Awaitable[Finding]], str]] = [
        ("data", _data, "set LITERESEARCHER_DATA_DIR to a directory that this user may write"),
        ("store", _store, "see docs/reference/store.md"),
        ("redis", _redis, "start Redis, or unset LITERESEARCHER_REDIS__URL"),
        ("prompts", _prompts, "correct or unset the prompt file settings"),
        (
            "engine",
            _engine,
            _ENGINE_WAYS_OUT.get(settings.engine_kind, _SERVER_WAY_OUT),
        ),
        ("extractor", _extractor, "start the server, or unset LITERESEARCHER_EXTRACTOR__BASE_URL"),
        ("compressor", _compressor, "start the server, or unset LITERESEARCHER_COMPRESSOR__BASE_URL"),
        (
            "tools",
            _tools,
            "start it with `literesearcher tools serve`, or correct LITERESEARCHER_TOOLS__URL and __TOKEN",
        ),
        ("search", _search, "see docs/how-to/model-and-web.md"),
        ("pages", _pages, "see docs/how-to/model-and-web.md"),
        ("cache", _cache, "start Redis, or unset LITERESEARCHER_TOOLS__REDIS_URL"),
        ("budgets", _budgets, "see docs/explanation/budgets.md"),
        # Each of its errors says what to do; none but a broken index asks for anything to be removed.
        ("corpus", _corpus, "docs/reference/corpus.md has what each code means"),
        ("keys", _keys, "see `literesearcher keys --help`"),
    ]
    # What a tool proxy elsewhere has of its own is asked by a doctor there.
    elsewhere = _OF_THE_PROXY if settings.tools.url is not None else ()
    said: dict[str, str] = {}
    for subject, ask, way_out in asked:
        if subject in elsewhere:
            continue
        try:
            async with asyncio.timeout(ANSWER_SECONDS if subject != "corpus" else None):
                yield await ask(settings)
        except TimeoutError:
            yield Finding(subject, "broken", f"no answer within {ANSWER_SECONDS} s", way_out)
        except LiteResearcherError as error:
            told = f"{error.message} ({error.code})" if isinstance(error, BoundaryError) else error.message
            first = said.setdefault(told, subject)
            if first != subject:
                told = f"cannot be looked up: {first} is broken (see above)"
            yield Finding(subject, "broken", told, way_out if first == subject else None)


async def _data(settings: Settings) -> Finding:
    prepare_data_dir(settings)
    free = shutil.disk_usage(settings.data_dir).free
    told = f"{settings.data_dir}, {free / 1e9:.1f} GB free"
    if free < LOW_DISK_BYTES:
        return Finding("data", "broken", told, "make room: journals and the corpus need a few hundred megabytes")
    return Finding("data", "ok", told)


async def _store(settings: Settings) -> Finding:
    from literesearcher.jobs.sql_store import status

    found = await status(settings.store_url)
    if found.standing == "empty":
        later = "made at the first job" if found.url.startswith("sqlite") else "empty"
        way_out = None if found.url.startswith("sqlite") else "run `literesearcher store migrate`"
        return Finding("store", "missing", f"{found.url}: {later}", way_out)
    if found.standing == "behind":
        return Finding("store", "missing", f"{found.url}: at {found.revision}", "run `literesearcher store migrate`")
    newer = f"made by a newer version (revision {found.revision})"
    if found.standing == "too_new":
        return Finding("store", "broken", f"{found.url}: {newer}", "install a newer literesearcher")
    counts = ", ".join(f"{count} {name}" for name, count in sorted(found.jobs.items())) or "no jobs yet"
    told = f"{newer}, and this one can use it; {counts}" if found.standing == "newer" else counts
    return Finding("store", "ok", f"{found.url}: {told}")


async def _redis(settings: Settings) -> Finding:
    if settings.redis.url is None:
        return Finding("redis", "missing", "not configured: wake-ups and live text stay in one process")
    return Finding("redis", "ok", await _redis_version(settings.redis.url))


async def _cache(settings: Settings) -> Finding:
    tools = settings.tools
    if tools.cache == "off":
        return Finding("cache", "missing", "off: every search and page is fetched anew")
    url = tools.redis_url or settings.redis.url
    if url is None:
        way_out = "set LITERESEARCHER_TOOLS__REDIS_URL to share and keep it"
        return Finding("cache", "ok", "of tool results: in this process, gone with it", way_out)
    return Finding("cache", "ok", f"of tool results, rates and pauses: in Redis, {await _redis_version(url)}")


async def _budgets(settings: Settings) -> Finding:
    budgets = settings.budgets
    limits = [
        *((f"{budgets.calls_per_day:,} tool calls",) if budgets.calls_per_day is not None else ()),
        *((f"${budgets.usd_per_day:g}",) if budgets.usd_per_day is not None else ()),
    ]
    own = f"; other budgets for {len(budgets.tenants)} tenants" if budgets.tenants else ""
    if not limits and not own:
        return Finding("budgets", "missing", "none: tenants may call tools without limit")
    told = " and ".join(limits) + " a day for each tenant" if limits else "no limit for most tenants"
    return Finding("budgets", "ok", told + own)


async def _redis_version(url: SecretStr) -> str:
    try:
        from redis.asyncio import Redis
        from redis.exceptions import RedisError
    except ImportError:
        raise ConfigurationError("the client is not installed: pip install 'literesearcher[redis]'") from None
    try:
        async with Redis.from_url(url.get_secret_value(), socket_connect_timeout=5) as client:
            info = await client.info("server")
    except (RedisError, OSError, ValueError) as error:
        # The text may hold the URL, and the URL a password.
        raise BoundaryError(f"it does not answer ({type(error).__name__})", code="redis_unreachable") from None
    return f"version {info.get('redis_version', 'unknown')}"


async def _prompts(settings: Settings) -> Finding:
    prompts = read_prompts(settings)
    return Finding("prompts", "ok", ", ".join(f"{name} {digest[:12]}" for name, digest in prompts.digests.items()))


async def _describe(subject: str, engine: Engine) -> Finding:
    try:
        info = await engine.describe()
    finally:
        await engine.aclose()
    if not info.language_model:
        return Finding(
            subject,
            "ok",
            "extractive: no language model; answers are passages that score best",
            "for LiteResearcher-4B set LITERESEARCHER_ENGINE__BASE_URL to an OpenAI-compatible server",
        )
    return Finding(subject, "ok", f"{info.kind}: {info.model}, {info.context_length:,} tokens of context")


async def _engine(settings: Settings) -> Finding:
    clock = SystemClock()
    if settings.engine_kind == "sglang":
        weights = sglang_weights(settings, clock)
        if not weights.present and weights.source is not None:
            return Finding(
                "engine",
                "missing",
                f"sglang: {weights.source} is not in {weights.folder} yet, and downloaded before the first turn",
                "download it beforehand with `literesearcher model fetch`",
            )
    return await _describe("engine", main_engine(settings, clock))


async def _extractor(settings: Settings) -> Finding:
    section = settings.extractor
    if section.kind is None and section.base_url is None:
        return Finding("extractor", "ok", "the main engine reads the pages")
    return await _describe("extractor", make_engine(section, SystemClock(), models=settings.models_dir))


async def _compressor(settings: Settings) -> Finding:
    engine = compressing_engine(settings, SystemClock())
    if engine is None:
        return Finding("compressor", "ok", "the main engine compresses histories")
    return await _describe("compressor", engine)


async def _tools(settings: Settings) -> Finding:
    return Finding("tools", "ok", await told_of_tools(settings))


async def _search(settings: Settings) -> Finding:
    told = await told_of_search(settings)
    live = settings.search_providers != ["local"]
    return Finding("search", "ok", told, None if live else "for the live web see docs/how-to/model-and-web.md")


async def _pages(settings: Settings) -> Finding:
    return Finding("pages", "ok", told_of_pages(settings))


async def _corpus(settings: Settings) -> Finding:
    if not uses_local(settings):
        return Finding("corpus", "missing", "not used: `local` is no provider")
    await asyncio.to_thread(prepare_corpus, settings)
    corpora = await asyncio.to_thread(lambda: open_library(settings).names(tenant_id=TENANT))
    told = ", ".join(f"{info.name} {info.pages:,} pages" for info in corpora)
    if settings.corpus.read_only:
        where = corpus_dir(settings)
        if not corpora:
            return Finding(
                "corpus", "broken", f"{where} holds none, and this process only reads", "run its writer first"
            )
        return Finding("corpus", "ok", f"{told}; read only, in {where}")
    return Finding("corpus", "ok", told, "add your own documents with `literesearcher corpus add PATH`")


async def _keys(settings: Settings) -> Finding:
    from literesearcher.gateway.auth import check_exposure, has_live_keys

    async with opened_store(settings) as store:
        keyed = await has_live_keys(store) or settings.gateway.bootstrap_key_file is not None
    check_exposure(settings, keyed)
    where = f"{settings.gateway.host}:{settings.gateway.port}"
    if keyed:
        return Finding("keys", "ok", f"the gateway on {where} asks for a key")
    return Finding("keys", "ok", f"no key: the gateway on {where} serves whoever reaches it")
