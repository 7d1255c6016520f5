"""Where the environment for real SGLang lies: by its pins, and by nothing that making it leaves behind."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from cpu_kit import environment


def folder_of(kit: Path, cache: Path) -> str:
    command = [sys.executable, str(kit / "environment.py"), "path"]
    environ = {"XDG_CACHE_HOME": str(cache), "HOME": str(cache)}
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout.strip()


def test_other_pins_are_another_environment_and_what_a_build_leaves_is_not(tmp_path: Path):
    kit = tmp_path / "cpu_kit"
    shutil.copytree(environment.HERE, kit, ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
    first = folder_of(kit, tmp_path)
    assert first == folder_of(environment.HERE, tmp_path)
    built = kit / "plugin" / "build" / "lib" / environment.PLUGIN
    built.mkdir(parents=True)
    (built / "early.py").write_text("")
    (kit / "plugin" / f"{environment.PLUGIN}.egg-info").mkdir()
    assert folder_of(kit, tmp_path) == first
    with (kit / "pins.txt").open("a") as pins:
        pins.write("another==1.0\n")
    others = {folder_of(kit, tmp_path)}
    with (kit / "plugin" / environment.PLUGIN / "platform.py").open("a") as code:
        code.write("# other\n")
    others.add(folder_of(kit, tmp_path))
    assert len({first, *others}) == 3
