"""Rules about what code does: exceptions, printing, singletons, retries, the clock."""

from __future__ import annotations

import ast

BROAD = {
    # A job that breaks must not take its worker along.
    "orchestrator": 2,
    # Every error leaves as a problem document.
    "gateway": 1,
    # The tokenizers library raises bare Exception for every broken file.
    "engine": 1,
}
"""How many `except Exception` each room may hold, with the reason. Boundary classifiers name what they catch."""


def broad_handlers(tree: ast.Module):
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            caught = ast.unparse(node.type) if node.type else "bare"
            if caught == "bare" or "BaseException" in caught.split(".")[-1] or caught == "Exception":
                yield node, caught


def test_broad_excepts_stand_only_at_the_borders_that_need_them(sources):
    found: dict[str, list[str]] = {}
    for source in sources:
        room = source.name.split("/")[0]
        for node, caught in broad_handlers(source.tree):
            reraises = any(isinstance(inner, ast.Raise) and inner.exc is None for inner in ast.walk(node))
            if caught in ("bare", "BaseException"):
                assert reraises, f"{source.name}:{node.lineno} swallows cancellation"
            elif not reraises and room != "testing":
                found.setdefault(room, []).append(f"{source.name}:{node.lineno}")
    over = {room: places for room, places in found.items() if len(places) > BROAD.get(room, 0)}
    assert not over


def test_cancellation_is_never_swallowed(sources):
    """A handler of CancelledError raises again, or ends what it itself cancelled (says so with a comment)."""
    swallowed = []
    for source in sources:
        lines = source.text.splitlines()
        for node in ast.walk(source.tree):
            if not isinstance(node, ast.ExceptHandler) or node.type is None:
                continue
            if "CancelledError" not in ast.unparse(node.type):
                continue
            raises = any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
            said = any(
                "#" in lines[number] for number in range(node.lineno - 2, node.body[-1].end_lineno or node.lineno)
            )
            if not raises and not said:
                swallowed.append(f"{source.name}:{node.lineno}")
    assert not swallowed


def test_only_programs_print(sources):
    """The terminal belongs to the CLI; `testing` holds programs of its own."""
    printing = {
        f"{source.name}:{node.lineno}"
        for source in sources
        if not source.name.startswith(("cli/", "testing/"))
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    }
    assert not printing


def test_nothing_reads_the_environment_but_the_program_itself(sources):
    """Settings come in as objects; only the CLI hands the environment to the loader."""
    reading = {
        f"{source.name}:{node.lineno}"
        for source in sources
        # SGLang and its processes are told some things by the environment alone.
        if not source.name.startswith(("cli/", "testing/")) and source.name != "engine/sglang/containment.py"
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv") and ast.unparse(node.value) == "os"
    }
    assert not reading


def test_no_accessors_of_singletons(sources):
    """Objects are put together in the wiring; a module that hands out its own instance hides what it needs."""
    found = {
        f"{source.name}: global {', '.join(node.names)}"
        for source in sources
        # The last id of this process: ids must rise strictly.
        if source.name != "jobs/ids.py"
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Global)
    }
    assert not found


def test_wall_time_has_one_owner(sources):
    """`time.time`, `datetime.now` and `asyncio.sleep` stand in timing; the rest asks the clock it was given."""
    # Ids carry the time they were made at; a corpus notes when it was added, by a clock that a caller may hand in.
    allowed = ("timing/", "testing/", "cli/", "jobs/ids.py", "corpus/library.py")
    asked = {
        f"{source.name}:{node.lineno}: {ast.unparse(node.func)}"
        for source in sources
        if not source.name.startswith(allowed)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and ast.unparse(node.func) in ("time.time", "time.sleep", "datetime.now", "datetime.utcnow")
    }
    assert not asked
