"""The data directory, the job store and live text, as the settings name them.

Owns: making the directory and saying plainly what is wrong with it. Refuses to know: engines, tools, HTTP.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from literesearcher.errors import ConfigurationError
from literesearcher.jobs.live import Live, LocalLive
from literesearcher.jobs.ports import Store
from literesearcher.settings.model import Settings


def prepare_data_dir(settings: Settings) -> None:
    """Make it, for its owner alone. Raises ConfigurationError where it cannot be made or written."""
    path = settings.data_dir
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigurationError(
            f"the data directory {path} cannot be made ({error.strerror}): set LITERESEARCHER_DATA_DIR", code="data_dir"
        ) from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise ConfigurationError(
            f"the data directory {path} cannot be written: set LITERESEARCHER_DATA_DIR", code="data_dir"
        )


async def open_settings_store(settings: Settings) -> Store:
    """The job store that the settings name."""
    from literesearcher.jobs.sql_store import open_store

    return await open_store(settings.store_url)


def open_live(settings: Settings) -> Live:
    """In process, or over Redis where several processes share a store."""
    if settings.redis.url is None:
        return LocalLive()
    try:
        from literesearcher.jobs.live_redis import RedisLive
    except ImportError:
        raise ConfigurationError(
            "LITERESEARCHER_REDIS__URL is set, but the redis client is missing: pip install 'literesearcher[redis]'"
        ) from None
    return RedisLive(settings.redis.url.get_secret_value())


@asynccontextmanager
async def opened_store(settings: Settings) -> AsyncIterator[Store]:
    """The store alone, for commands that only look at jobs or keys."""
    prepare_data_dir(settings)
    store = await open_settings_store(settings)
    try:
        yield store
    finally:
        await store.aclose()
