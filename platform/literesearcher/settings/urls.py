"""URLs in settings: whole, without secrets where they are shown, each with an example of its own kind in its refusal.

Owns: what a base URL and a Redis URL may look like. Refuses to know: the environment, who connects. Messages name the
variable, never the value: it may hold a password. Above: `settings.load`.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from literesearcher.errors import ConfigurationError
from literesearcher.settings.names import Setting

_EXAMPLES = {
    "engine": "http://localhost:30000/v1",
    "extractor": "http://localhost:30000/v1",
    "compressor": "http://localhost:30000/v1",
    "tools": "http://tools:8001",
}
_REDIS = "redis://localhost:6379/0, rediss://:PASSWORD@host:6380/0 or unix:///run/redis.sock"


def base_url(value: str, spoken: str, setting: Setting) -> str:
    """Without a closing slash; an engine's ends in /v1, which is added where the URL has no path at all."""
    example = _EXAMPLES.get(setting.section or "", "https://example.com")
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise ConfigurationError(f"{spoken} must be a whole URL, such as {example}")
    if "@" in value:
        # Addresses are shown in errors, events and the doctor, and so would be a password in them. Anywhere in the
        # value: after an unescaped slash in a password, what follows it counts as the path.
        key = setting.name.replace("BASE_URL", "API_KEY").replace("TOOLS__URL", "TOOLS__TOKEN")
        raise ConfigurationError(f"{spoken} must be a URL without user, password and @: a key goes into {key}")
    if parts.query or parts.fragment:
        raise ConfigurationError(f"{spoken} must be a URL without ? and #")
    trimmed = value.rstrip("/")
    if setting.section not in ("engine", "extractor", "compressor") or trimmed.endswith("/v1"):
        return trimmed
    if parts.path.strip("/"):
        raise ConfigurationError(f"{spoken} must end in /v1, such as {example}: leave out what comes after /v1")
    return f"{trimmed}/v1"


def redis_url(value: str, spoken: str) -> str:
    """As the Redis client takes it."""
    try:
        parts = urlsplit(value)
        database = parts.path.strip("/")
        usable = {
            "redis": bool(parts.hostname) and parts.port != 0 and (not database or database.isdecimal()),
            "unix": bool(parts.path),
        }.get("redis" if parts.scheme == "rediss" else parts.scheme, False)
    except ValueError:
        usable = False
    if not usable:
        raise ConfigurationError(f"{spoken} is no Redis URL: write {_REDIS}", code="redis_url_invalid")
    return value
