"""What a caller asks of a job's tools, from raw values to `research.tool_options`.

Owns: names, bounds and spelling (domains in lower case and punycode, as hosts are compared). Every refusal is a
`CallerError` that names the field. Refuses to know: HTTP, command lines, who enforces the policy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any, get_args

from yarl import URL

from literesearcher.errors import CallerError
from literesearcher.research.tool_options import CacheMode, Fidelity, SourcePolicy, ToolOptions

MAX_DOMAINS = 200
"""Allowed, and denied; a list of this length costs each result some microseconds."""
MAX_DOMAIN_CHARACTERS = 254
MAX_LANGUAGES = 20
MAX_PAGES_PER_DOMAIN = 10_000
LANGUAGE = "^[a-z]{2}$"
DAY = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"

_FIELDS = ("cache", "sources")
_SOURCE_FIELDS = tuple(SourcePolicy.__dataclass_fields__)


def tool_options(asked: Mapping[str, Any], *, fidelity: Fidelity) -> ToolOptions:
    """The job's options. None and absent are the same wish."""
    _known("tools", asked, _FIELDS)
    cache = asked.get("cache")
    if cache is not None and cache not in get_args(CacheMode):
        raise CallerError(f"tools.cache must be one of {', '.join(get_args(CacheMode))}", field="tools.cache")
    return ToolOptions(cache or "default", source_policy(asked.get("sources"), where="tools.sources"), fidelity)


def wished(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The wish without what is left to its default: {} where nothing is asked for."""
    sources = asked.get("sources")
    kept = {name: value for name, value in asked.items() if value is not None and name != "sources"}
    if isinstance(sources, Mapping):
        sources = {name: value for name, value in sources.items() if value not in (None, [], ())}
    return kept | ({"sources": sources} if sources else {})


def source_policy(asked: Any, *, where: str) -> SourcePolicy:
    """The policy. `where`: the field that it stands in, for what is told of a wrong one."""
    if asked is None:
        return SourcePolicy()
    _known(where, asked, _SOURCE_FIELDS)
    after, before = (_day(f"{where}.{name}", asked.get(name)) for name in ("published_after", "published_before"))
    if after is not None and before is not None and after > before:
        raise CallerError("published_after lies after published_before", field=f"{where}.published_after")
    lists = {
        name: _list(f"{where}.{name}", asked.get(name), most, read)
        for name, most, read in (
            ("allow_domains", MAX_DOMAINS, _domain),
            ("deny_domains", MAX_DOMAINS, _domain),
            ("languages", MAX_LANGUAGES, _language),
        )
    }
    most = _pages(f"{where}.max_pages_per_domain", asked.get("max_pages_per_domain"))
    return SourcePolicy(published_after=after, published_before=before, max_pages_per_domain=most, **lists)


def _known(where: str, asked: Any, names: tuple[str, ...]) -> None:
    if not isinstance(asked, Mapping):
        raise CallerError(f"{where} must be an object with {', '.join(names)}", field=where)
    for name in asked:
        if name not in names:
            raise CallerError(f"{where} has no field {name!r}; it has {', '.join(names)}", field=f"{where}.{name}")


def _list(where: str, value: Any, most: int, read: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)) or len(value) > most:
        raise CallerError(f"{where} must be a list of at most {most}", field=where)
    # A dictionary keeps the order and drops what is said twice.
    return tuple(dict.fromkeys(read(f"{where}.{index}", item) for index, item in enumerate(value)))


def _domain(where: str, value: Any) -> str:
    if isinstance(value, str) and 0 < len(value) <= MAX_DOMAIN_CHARACTERS:
        suffix = value.startswith(".")
        name = value[1:] if suffix else value
        try:
            host = URL.build(scheme="http", host=name).raw_host or ""
        except ValueError:
            host = ""
        host = host.lower().removesuffix(".")
        if re.fullmatch(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*", host):
            return f".{host}" if suffix else host
        if ":" in host and not suffix:
            return host
    raise CallerError(
        f"{where} must be a domain such as example.com (with all that is under it) or .gov; no scheme, path or *",
        field=where,
    )


def _day(where: str, value: Any) -> str | None:
    if value is None:
        return None
    try:
        if isinstance(value, str) and re.fullmatch(DAY, value, re.ASCII):
            return date.fromisoformat(value).isoformat()
    except ValueError:
        pass
    raise CallerError(f"{where} must be a day, YYYY-MM-DD", field=where)


def _language(where: str, value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(LANGUAGE, value):
        raise CallerError(f"{where} must be a language's ISO 639-1 code, such as en or zh", field=where)
    return value


def _pages(where: str, value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_PAGES_PER_DOMAIN:
        raise CallerError(f"{where} must be an integer 1 to {MAX_PAGES_PER_DOMAIN}", field=where)
    return value
