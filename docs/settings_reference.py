"""Writes reference/settings.md from the settings sections: `python docs/settings_reference.py`.

Owns: the form of that page. A test holds the page against `render()`, so that it cannot fall behind the code.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from literesearcher.settings.model import Settings
from literesearcher.settings.names import PUBLISHED, Setting, known

PAGE = Path(__file__).parent / "reference" / "settings.md"

HEAD = """# Settings

Settings come from environment variables and from a `.env` file in the working directory; the environment wins, and an
empty value is no value. A `LITERESEARCHER_*` name that does not exist ends the program with exit code 2 and the
nearest name (`LITERESEARCHER_TEST_*` belongs to the tests); other names in a `.env` are let be. Lists are JSON.
`literesearcher doctor` shows what is in force, with secrets masked. Written by `python docs/settings_reference.py`.
"""


def _type(setting: Setting) -> str:
    parts = [part for part in get_args(setting.info.annotation) or (setting.info.annotation,) if part is not type(None)]
    if get_origin(setting.info.annotation) is Literal:
        parts = [setting.info.annotation]
    return _spell(parts[0]) + _range(setting)


def _spell(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " or ".join(f"`{value}`" for value in get_args(kind))
    if get_origin(kind) is dict:
        return "JSON object"
    if get_origin(kind) is list:
        return f"JSON list of {_spell(get_args(kind)[0])}"
    names = {
        "SecretStr": "secret",
        "str": "text",
        "int": "whole number",
        "float": "number",
        "bool": "`true` or `false`",
    }
    return names.get(kind.__name__, "path")


def _range(setting: Setting) -> str:
    bounds = {}
    for item in setting.info.metadata:
        for name in ("ge", "gt", "le", "lt"):
            if getattr(item, name, None) is not None:
                bounds[name] = getattr(item, name)
    low = f"from {bounds['ge']:,}" if "ge" in bounds else f"above {bounds['gt']:,}" if "gt" in bounds else ""
    high = f"to {bounds['le']:,}" if "le" in bounds else ""
    said = " ".join(part for part in (low, high) if part)
    return f", {said}" if said else ""


def _default(setting: Setting) -> str:
    value = setting.info.default
    if setting.info.default_factory is list:
        return "`[]`"
    if value is None or setting.info.default_factory is not None:
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def render() -> str:
    """The whole page."""
    lines = [HEAD.rstrip()]
    section: str | None = ""
    for setting in known().values():
        if setting.section != section:
            section = setting.section
            title = section.upper() if section else "The platform"
            about = (Settings.model_fields[section].annotation.__doc__ or "") if section else ""
            if section == "extractor":
                about = "The model that reads pages for a goal; fields as ENGINE. Default: the main engine."
            if section == "compressor":
                about = "The model that compresses a job's memory; fields as ENGINE. Default: the main engine."
            lines += [f"\n## {title}\n", *([re.sub(r"\s+", " ", about).strip() + "\n"] if about else [])]
            lines += ["| name | value | default | meaning |", "| --- | --- | --- | --- |"]
        meaning = (setting.info.description or "").replace("|", "\\|")
        lines.append(f"| `{setting.name}` | {_type(setting)} | {_default(setting)} | {meaning} |")
    lines += [
        "\n## Names of the published inference code\n",
        "Accepted too, in the environment and in `.env`; where both are set, the platform's own name wins.\n",
        "| name | stands for |",
        "| --- | --- |",
        *(f"| `{theirs}` | `{ours}` |" for theirs, ours in PUBLISHED.items()),
        "\n## Rules between settings\n",
        "- An engine's base URL ends in `/v1`; to a URL without any path it is added.",
        "- Without `TOOLS__SEARCH`: every engine that is configured, in the order serper, brave, tavily (by a key), "
        'searxng (by its base URL), else `["local"]`.',
        '- Without `TOOLS__PAGES`: `["direct", "jina"]` (then `scrapedo`, `firecrawl` where they have a key) beside '
        'such an engine, else `["local"]`.',
        "- A provider that is listed needs its key, or searxng its base URL.",
        "- `TOOLS__REDIS_URL` is `REDIS__URL` where it is not set.",
        "- A gateway beyond loopback needs an API key, a bootstrap key file, or `GATEWAY__ANONYMOUS=true`.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
