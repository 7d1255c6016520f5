"""Settings from the environment and a `.env` file; the environment wins, an empty value is no value.

Owns: the rule that an unknown LITERESEARCHER_* name ends the program, the published project's names, what a wrong
value is told. Refuses to know: what a setting is for. Messages name the variable and the way out, never the value:
it may be a secret. Other names are let be. Below: `settings.dotenv_file`, `settings.names`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from literesearcher.errors import ConfigurationError
from literesearcher.settings.dotenv_file import read_dotenv
from literesearcher.settings.model import Settings
from literesearcher.settings.names import PREFIX, PUBLISHED, TEST_PREFIX, Setting, known, way_out
from literesearcher.settings.urls import base_url, redis_url


def load_settings(environ: Mapping[str, str], *, dotenv: Path | None = Path(".env")) -> Settings:
    """The settings in force. Raises ConfigurationError on an unknown name or a value that cannot be used."""
    layers = (dict(environ), read_dotenv(dotenv, own=PREFIX))
    for layer, where in zip(layers, ("the environment", str(dotenv)), strict=True):
        _refuse_unknown(layer, where)
    chosen = _choose(layers)
    tree: dict[str, Any] = {"data_dir": _default_data_dir(environ)}
    for name, (value, spoken) in chosen.items():
        setting = known()[name]
        place = tree.setdefault(setting.section, {}) if setting.section else tree
        place[setting.field] = _value(setting, value, spoken)
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        raise _explain(error, chosen) from None
    _check_whole(settings)
    return settings


def _refuse_unknown(layer: Mapping[str, str], where: str) -> None:
    for name in layer:
        if not name.upper().startswith(PREFIX) or name.startswith(TEST_PREFIX) or name in known():
            continue
        raise ConfigurationError(f"{name} in {where} is no setting: {way_out(name)}", code="unknown_setting")


def _choose(layers: tuple[Mapping[str, str], ...]) -> dict[str, tuple[str, str]]:
    """Value and the name it was given under, by our name. Ours outrank the published ones wherever they stand."""
    chosen: dict[str, tuple[str, str]] = {}
    candidates = [(name, name) for name in known()] + [(ours, theirs) for theirs, ours in PUBLISHED.items()]
    for ours, spoken in candidates:
        for layer in layers:
            value = layer.get(spoken, "").strip()
            if value and ours not in chosen:
                chosen[ours] = (value, spoken)
    return chosen


def _value(setting: Setting, value: str, spoken: str) -> Any:
    if not value.isprintable():
        raise ConfigurationError(f"{spoken} holds control characters or bytes that are not UTF-8: set it again")
    if setting.listed:
        return _json_list(value, spoken)
    if setting.mapped:
        return _json_object(value, spoken)
    if setting.field == "base_url" or (setting.section, setting.field) == ("tools", "url"):
        return base_url(value, spoken, setting)
    if (setting.section, setting.field) in (("redis", "url"), ("tools", "redis_url")):
        return redis_url(value, spoken)
    if setting.field == "dir" or setting.field.endswith(("_dir", "_file")):
        return Path(value).expanduser()
    return value


def _json_list(value: str, spoken: str) -> list[Any]:
    try:
        items = orjson.loads(value)
    except orjson.JSONDecodeError:
        items = None
    if not isinstance(items, list) or not items:
        raise ConfigurationError(f'{spoken} must be a JSON list with at least one entry, such as ["local"]')
    return items


def _json_object(value: str, spoken: str) -> dict[str, Any]:
    try:
        found = orjson.loads(value)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise ConfigurationError(f"{spoken} must be a JSON object")
    return found


def _default_data_dir(environ: Mapping[str, str]) -> Path:
    """XDG: $XDG_DATA_HOME where it is absolute (the specification ignores others), else ~/.local/share."""
    xdg = environ.get("XDG_DATA_HOME", "")
    if xdg and Path(xdg).is_absolute():
        return Path(xdg) / "literesearcher"
    home = environ.get("HOME", "")
    try:
        return (Path(home) if home else Path.home()) / ".local" / "share" / "literesearcher"
    except RuntimeError:
        raise ConfigurationError("there is no home directory: set LITERESEARCHER_DATA_DIR") from None


def _explain(error: ValidationError, chosen: Mapping[str, tuple[str, str]]) -> ConfigurationError:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = [str(part) for part in first["loc"]]
    told = first["msg"][:1].lower() + first["msg"][1:]
    for name, setting in known().items():
        path = [setting.section, setting.field] if setting.section else [setting.field]
        if place[: len(path)] == path:
            within = ".".join(place[len(path) :])
            if first["type"] == "extra_forbidden":
                told = "there is no such field; see docs/reference/settings.md"
            spoken = chosen[name][1] if name in chosen else name
            return ConfigurationError(f"{spoken}{f' at {within}' if within else ''}: {told}", code="invalid_setting")
    return ConfigurationError(f"{'.'.join(place)}: {told}", code="invalid_setting")


def _check_whole(settings: Settings) -> None:
    """What no single field can see."""
    sections = {"ENGINE": settings.engine, "EXTRACTOR": settings.extractor, "COMPRESSOR": settings.compressor}
    for section, engine in sections.items():
        if engine.kind == "sglang" and section != "ENGINE":
            work = "pages are read" if section == "EXTRACTOR" else "histories are compressed"
            raise ConfigurationError(
                f"{PREFIX}{section}__KIND=sglang would be a second runtime: leave it out, and {work} by "
                "ENGINE's, at lower priority than turns",
                code="engine_unavailable",
            )
        if engine.kind == "sglang" and settings.model_folder is None:
            raise ConfigurationError(
                f"{PREFIX}ENGINE__KIND=sglang needs {PREFIX}SGLANG__MODEL_PATH, the folder of a checkpoint, or "
                f"{PREFIX}SGLANG__MODEL_ID, its name on the Hub"
            )
        if engine.kind == "transformers" and engine.model is None:
            raise ConfigurationError(
                f"{PREFIX}{section}__KIND=transformers needs {PREFIX}{section}__MODEL, the folder of a checkpoint"
            )
        if engine.kind == "openai" and engine.base_url is None:
            raise ConfigurationError(
                f"{PREFIX}{section}__KIND=openai needs {PREFIX}{section}__BASE_URL, such as http://localhost:30000/v1"
            )
    if settings.tools.url is not None:
        # A tool proxy elsewhere has the keys; one that is given this setting too misses them when it starts.
        return
    listed = (*(settings.tools.search or ()), *(settings.tools.pages or ()))
    for provider in ("serper", "brave", "tavily", "scrapedo"):
        if provider in listed and getattr(settings, provider).api_key is None:
            raise ConfigurationError(f"the tools list {provider}: it needs {PREFIX}{provider.upper()}__API_KEY")
    if "searxng" in listed and settings.searxng.base_url is None:
        raise ConfigurationError(
            f"the tools list searxng: it needs {PREFIX}SEARXNG__BASE_URL, such as http://localhost:8888"
        )
    if "firecrawl" in listed and settings.firecrawl.api_key is None and not settings.firecrawl.own_base:
        raise ConfigurationError(
            f"the tools list firecrawl: it needs {PREFIX}FIRECRAWL__API_KEY, "
            f"or {PREFIX}FIRECRAWL__BASE_URL of an instance of your own"
        )
