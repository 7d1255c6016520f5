"""The environment in which real SGLang runs on a CPU: where it lies, and how it is made.

`python tests/cpu_kit/environment.py path` prints the folder, `install` makes it where it is not whole (about three
minutes and 2.5 GB), `python` prints its interpreter or says what to type. The folder's name holds the pins, so that
other pins are another environment. Only the standard library: any interpreter >= 3.11 runs it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
SGLANG, TORCH, TORCHVISION, RAY = "0.5.23", "2.13.0", "0.28.0", "2.60.0"
TESTERS = ("pytest", "pytest-asyncio", "pytest-timeout", "hypothesis", "redis")
"""Of the project's own extras what its tests need here, by the versions of constraints.txt where the kit has none."""
PLUGIN = "literesearcher_torch_cpu"
COMMAND = "make sglang && make test-sglang"
_WHOLE = ".whole"
_UNUSED = (
    *("triton/backends/nvidia/bin", "triton/backends/nvidia/lib", "triton/backends/nvidia/include"),
    *("triton/backends/amd/lib", "triton/backends/amd/include"),
)
"""Compilers for GPUs, 475 MB: triton must be importable, and compiles nothing on a CPU."""


def folder() -> Path:
    """Where the environment lies: $LITERESEARCHER_TEST_SGLANG_ENV, else in the user's cache under its pins."""
    named = os.environ.get("LITERESEARCHER_TEST_SGLANG_ENV")
    if named:
        return Path(named)
    whole = hashlib.sha256(f"{SGLANG} {TORCH} {TORCHVISION} {RAY} {sys.version_info[:2]}".encode())
    # The plugin's own files, not what building it in place has left beside them.
    for file in sorted([HERE / "pins.txt", *(HERE / "plugin" / PLUGIN).glob("*.py")]):
        whole.update(file.read_bytes())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "literesearcher" / f"sglang-{whole.hexdigest()[:12]}"


def install() -> None:
    """Make the environment where it is not whole, and put this checkout into it."""
    place = folder()
    if not (place / _WHOLE).exists():
        if "LITERESEARCHER_TEST_SGLANG_ENV" in os.environ:
            sys.exit(f"{place} is not the kit's to make: unset LITERESEARCHER_TEST_SGLANG_ENV")
        print(f"Making {place}: about three minutes and 2.5 GB ...", file=sys.stderr)
        shutil.rmtree(place, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        _pip(place, f"torch=={TORCH}")
        _pip(place, "--no-deps", f"sglang=={SGLANG}", f"torchvision=={TORCHVISION}")
        _pip(place, "-r", str(HERE / "pins.txt"))
        source = shutil.copytree(
            HERE / "plugin", place / "plugin", ignore=shutil.ignore_patterns("build", "*.egg-info")
        )
        _pip(place, "--no-deps", str(source))
        _pip(place, f"ray[serve]=={RAY}", "-c", str(HERE / "pins.txt"))
        site = Path(sysconfig.get_path("purelib", "venv", {"base": str(place), "platbase": str(place)}))
        (site / "literesearcher_torch_cpu_early.pth").write_text("import literesearcher_torch_cpu.early\n")
        for name in _UNUSED:
            shutil.rmtree(site / name, ignore_errors=True)
    _pip(place, *TESTERS, "-e", str(PROJECT), "-c", str(HERE / "pins.txt"))
    (place / _WHOLE).touch()


def python() -> Path:
    """Its interpreter. SystemExit with the command to type where there is none."""
    found = folder() / "bin" / "python"
    if not found.exists():
        sys.exit(f"no SGLang for the CPU here ({folder()}): {COMMAND}")
    return found


def _pip(place: Path, *arguments: str) -> None:
    command = [str(place / "bin" / "python"), "-m", "pip", "install", "-qq", "--disable-pip-version-check", *arguments]
    # Its words are shown where it fails alone: that SGLang misses what it lists is the point of the kit.
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(f"{done.stdout}the installation of {arguments[-1]} failed: it needs a package index")


if __name__ == "__main__":
    wish = sys.argv[1] if len(sys.argv) == 2 else ""
    if wish == "path":
        print(folder())
    elif wish == "python":
        print(python())
    elif wish == "install":
        install()
    else:
        sys.exit("usage: environment.py path|python|install")
