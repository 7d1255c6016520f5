"""What the documents promise to hold in full."""

from __future__ import annotations

import re
import runpy
import tomllib
from pathlib import Path

from literesearcher.settings.model import Settings
from literesearcher.settings.names import known
from literesearcher.settings.provider_sections import ProviderSection


def test_the_settings_reference_is_fresh(root: Path):
    """Every setting is there with its default, and no other; `python docs/settings_reference.py` writes the page."""
    page = (root / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    assert page == runpy.run_path(str(root / "docs" / "settings_reference.py"))["render"]()
    assert re.findall(r"^\| `(LITERESEARCHER_\w+)` \|", page, re.MULTILINE) == list(known())


def test_every_setting_says_what_it_is_for():
    assert not [setting.name for setting in known().values() if not setting.info.description]


def test_every_command_is_documented(root: Path):
    from literesearcher.cli.main import COMMANDS

    text = (root / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    assert not [name for name in COMMANDS if f"## literesearcher {name}" not in text]


def test_the_prices_and_limits_of_providers_are_those_of_the_settings(root: Path):
    """Each row of docs/reference/providers.md that names a provider ends in `| USD | a second, at once |`."""
    page = (root / "docs" / "reference" / "providers.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| `(\w+)` \|.*\| ([0-9.]+) \| ([0-9.]+), ([0-9]+) \|$", page, re.MULTILINE)
    sections = {
        name: section for name, section in dict(Settings(data_dir=root)).items() if isinstance(section, ProviderSection)
    }
    assert {name for name, *_ in told} == set(sections)
    for name, usd, per_second, concurrency in told:
        section = sections[name]
        assert (float(usd), float(per_second), int(concurrency)) == (
            section.cost_usd,
            section.per_second,
            section.concurrency,
        ), name


def test_constraints_pin_every_dependency(root: Path):
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = project["dependencies"] + [item for extra in project["optional-dependencies"].values() for item in extra]
    pinned = {
        _canonical(line.split("==")[0])
        for line in (root / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line
    }
    names = {_canonical(re.split(r"[\[<>=;! ]", item)[0]) for item in wanted}
    assert names <= pinned


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
