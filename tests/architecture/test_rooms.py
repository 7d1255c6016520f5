"""The order of the rooms, and the purity of the agent."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

PURE = {
    "__future__",
    "ast",
    "base64",
    "bisect",
    "collections",
    "copy",
    "dataclasses",
    "datetime",
    "difflib",
    "enum",
    "functools",
    "hashlib",
    "heapq",
    "html",
    "itertools",
    "json",
    "json_repair",
    "literesearcher",
    "math",
    "operator",
    "orjson",
    "re",
    "string",
    "struct",
    "textwrap",
    "types",
    "typing",
    "unicodedata",
}
"""All that the agent and the event types may import: nothing that waits, tells the time, rolls dice or opens files."""


def imports(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names.add(node.module or "")
    return names


def test_rooms_import_only_rooms_below_them(root: Path):
    """In a process of its own: the linter turns the loggers of its process off."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as lint; lint()", "--no-cache"]
    linted = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120)
    assert linted.returncode == 0, linted.stdout + linted.stderr
    assert "1 kept, 0 broken" in linted.stdout


def test_the_agent_is_pure(sources):
    impure = {
        f"{source.name} imports {name}"
        for source in sources
        if source.name.startswith("research/")
        for name in imports(source.tree)
        if name.split(".")[0] not in PURE
    }
    assert not impure


def test_the_agent_tells_no_time(sources):
    """`datetime` is for turning an instant into text; asking it for now would make a fold depend on when it ran."""
    asked = {
        f"{source.name}:{node.lineno}"
        for source in sources
        if source.name.startswith("research/")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("now", "utcnow", "today", "time", "monotonic")
    }
    assert not asked


def test_the_source_root_does_not_shadow_the_standard_library(root: Path):
    assert not (root / "platform" / "__init__.py").exists()
    import platform

    assert Path(platform.__file__).resolve().is_relative_to(Path(sys.base_prefix).resolve())


def test_ray_is_imported_by_the_cluster_alone(sources):
    importing = {source.name for source in sources for name in imports(source.tree) if name.split(".")[0] == "ray"}
    assert not {name for name in importing if not name.startswith("cluster/")}
