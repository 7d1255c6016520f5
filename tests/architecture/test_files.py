"""Files: their names, their length, what they say of themselves."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

BANNED = re.compile(r"(^|_)(utils?|helpers?|common|managers?|misc|stuff)(_|$)|^base_")
MAX_LINES = 300
PACKAGE_CODE = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def test_no_file_outgrows_a_sitting(sources):
    long = {source.name: lines for source in sources if (lines := len(source.text.splitlines())) >= MAX_LINES}
    assert not long


def test_file_and_class_names_say_something(sources):
    files = {source.name for source in sources for part in source.name[:-3].split("/") if BANNED.search(part)}
    classes = {
        f"{source.name}: {node.name}"
        for source in sources
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ClassDef) and re.search(r"Impl$|^Mock|^Base[A-Z]|Manager$|Helper", node.name)
    }
    assert not files | classes


def test_a_room_opens_with_a_sentence_and_nothing_else(sources):
    """`__version__` of the package itself is the one exception."""
    for source in sources:
        if not source.name.endswith("__init__.py") or source.generated:
            continue
        assert ast.get_docstring(source.tree), source.name
        body = source.tree.body[1:]
        if source.name == "__init__.py":
            body = [node for node in body if "__version__" not in ast.unparse(node)]
        assert not body, f"{source.name} holds more than a docstring"


def test_every_module_says_what_it_owns_in_two_to_twelve_lines(sources):
    for source in sources:
        if source.name.endswith("__init__.py") or source.generated:
            continue
        docstring = ast.get_docstring(source.tree)
        assert docstring, f"{source.name} has no docstring"
        lines = [line for line in docstring.splitlines() if line.strip()]
        # These two are read for their drawing.
        table = source.name in ("errors.py", "research/commands.py")
        # Of what only tests use, such as a part of a contract suite, one line may say all.
        least = 1 if source.name.startswith("testing/") else 2
        assert least <= len(lines) <= (20 if table else 12), f"{source.name}: {len(lines)} lines of docstring"


def test_everything_public_says_what_it_does(sources):
    """A contract suite's tests say it by their names."""
    silent = set()
    for source in sources:
        if source.generated:
            continue
        for node in source.tree.body:
            if not isinstance(node, PACKAGE_CODE) or node.name.startswith("_"):
                continue
            if not ast.get_docstring(node):
                silent.add(f"{source.name}: {node.name}")
            if isinstance(node, ast.ClassDef):
                silent |= {
                    f"{source.name}: {node.name}.{inner.name}"
                    for inner in node.body
                    if isinstance(inner, PACKAGE_CODE)
                    and not inner.name.startswith(("_", "test_"))
                    and not ast.get_docstring(inner)
                    and not _is_attribute(inner)
                }
    assert not silent


def _is_attribute(node: ast.AST) -> bool:
    """A property of a Protocol is a field: its class says what it is."""
    decorators = [ast.unparse(item) for item in getattr(node, "decorator_list", [])]
    bare = len(node.body) == 1 and ast.unparse(node.body[0]) == "..." if isinstance(node, ast.FunctionDef) else False
    return bare and "property" in decorators


def tracked(root: Path) -> list[Path]:
    if not (root / ".git").exists():
        pytest.fail("not a git checkout: the rule needs the list of tracked files")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, check=True, capture_output=True).stdout
    return [root / name for name in listed.decode().split("\0") if name]


def test_nothing_names_the_machine_it_was_written_on(root: Path):
    """No path of the checkout or of a home directory, no number of an issue."""
    places = {str(root), str(Path.home())} - {"/"}
    told = re.compile(rb"(?:%s)/|\bissue #?\d+\b" % b"|".join(re.escape(place.encode()) for place in places))
    here = Path(__file__).resolve()
    found = {
        f"{path.relative_to(root)}: {match.group().decode()}"
        for path in tracked(root)
        if path.is_file() and path.resolve() != here and path.stat().st_size < 2_000_000
        for match in told.finditer(path.read_bytes())
    }
    assert not found


def test_no_emoji(root: Path):
    emoji = re.compile("[\U0001f300-\U0001faff\u2600-\u27bf\ufe0f]")
    kinds = (".py", ".md", ".toml", ".yml", ".yaml")
    found = {
        str(path.relative_to(root))
        for path in tracked(root)
        if path.suffix in kinds and path.is_file() and "tests/" not in str(path.relative_to(root))
        if emoji.search(path.read_text(encoding="utf-8"))
    }
    assert not found
