"""Pure-Python modules of the standard library, read by `ast` from its folder and from nowhere else. Runs none of it.

Refuses to know: built-in modules (`child`), Markdown (`pages`), the index.
"""

from __future__ import annotations

import ast
import os
import sysconfig
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from literesearcher.corpus.pydoc.entries import Entry, Module
from literesearcher.corpus.pydoc.modules import PUBLIC_NAMES, SKIPPED_FOLDERS, SKIPPED_MODULES

_DEFAULT_CHARS = 60
_VALUE_CHARS = 80
_FILE_BYTES = 2_000_000


def folder() -> Path:
    """The standard library's folder."""
    return Path(sysconfig.get_paths()["stdlib"])


def files(root: Path) -> list[tuple[str, Path]]:
    """(module name, file) of each documented module, sorted by name; with it what a package keeps in private parts."""
    found: list[tuple[str, Path]] = []
    for directory, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in SKIPPED_FOLDERS and not name.startswith(("config-", "."))]
        for name in names:
            if not name.endswith(".py"):
                continue
            path = Path(directory) / name
            parts = list(path.relative_to(root).with_suffix("").parts)
            if parts[-1] == "__init__":
                parts.pop()
            module = PUBLIC_NAMES.get(".".join(parts), ".".join(parts))
            if module and not module.startswith("_") and module not in SKIPPED_MODULES and ".test" not in module:
                found.append((module, path))
    # `posixpath` before `genericpath`: its docstring is the module's.
    return sorted(found, key=lambda each: (each[0], each[1].stem == "genericpath"))


def read(name: str, path: Path) -> Module | None:
    """The module in a source file, None where it cannot be parsed."""
    try:
        body = path.read_bytes()[:_FILE_BYTES]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(body)
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None
    module = Module(name=name, doc=ast.get_docstring(tree) or "")
    instances: dict[str, str] = {}
    for node in _statements(tree.body):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if not node.name.startswith("_"):
                module.entries.setdefault(node.name, _function(node, node.name))
        elif isinstance(node, ast.ClassDef):
            if not node.name.startswith("_"):
                module.entries.setdefault(node.name, _class(node))
        elif isinstance(node, ast.ImportFrom):
            source = _absolute(node, name, package=path.name == "__init__.py")
            module.imports.append((source, [alias.name for alias in node.names if alias.asname in (None, alias.name)]))
        else:
            _assignment(node, module)
            _bound_method(node, module, instances)
    return module


def publish(modules: dict[str, Module]) -> None:
    """Move what a package shows under its own name from the part that defines it: `asyncio.gather`."""
    for name in sorted(modules, key=lambda each: -each.count(".")):
        module = modules[name]
        for source, names in module.imports:
            part = modules.get(source)
            if part is None or not source.startswith(f"{name}."):
                continue
            shown = _shown(part) if "*" in names else names
            for each in shown:
                if each in part.entries and each not in module.entries and not each.startswith("_"):
                    module.entries[each] = part.entries.pop(each)
        parts = [part for other, part in modules.items() if other.startswith(f"{name}.")]
        for each in module.exported or []:
            if each not in module.entries:
                owner = next((part for part in parts if each in part.entries), None)
                if owner is not None:
                    module.entries[each] = owner.entries.pop(each)


def is_private(name: str) -> bool:
    """True for a part that only its package shows, such as `pathlib._local`."""
    return any(part.startswith("_") for part in name.split("."))


def _shown(module: Module) -> list[str]:
    return module.exported if module.exported is not None else [*module.entries]


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Top-level statements, those under `if` and `try` included."""
    for node in body:
        if isinstance(node, ast.If):
            yield from _statements(node.body)
            yield from _statements(node.orelse)
        elif isinstance(node, ast.Try):
            yield from _statements(node.body)
            for handler in node.handlers:
                yield from _statements(handler.body)
            yield from _statements(node.orelse)
        else:
            yield node


def _absolute(node: ast.ImportFrom, name: str, *, package: bool) -> str:
    if not node.level:
        return node.module or ""
    parts = name.split(".")
    drop = node.level - (1 if package else 0)
    base = parts[: len(parts) - drop] if drop else parts
    return ".".join([*base, *([node.module] if node.module else [])])


def _assignment(node: ast.stmt, module: Module) -> None:
    if not isinstance(node, ast.Assign) or len(node.targets) != 1 or not isinstance(node.targets[0], ast.Name):
        return
    target = node.targets[0].id
    if target == "__all__":
        try:
            value = ast.literal_eval(node.value)
        except (ValueError, TypeError, SyntaxError, RecursionError):
            return
        module.exported = [str(each) for each in value] if isinstance(value, (list, tuple)) else None
    elif not target.startswith("_") and isinstance(node.value, ast.Constant):
        written = repr(node.value.value)
        if node.value.value is not None and len(written) <= _VALUE_CHARS:
            module.constants.append((target, written))


def _bound_method(node: ast.stmt, module: Module, instances: dict[str, str]) -> None:
    """A method of a hidden instance that the module shows as its function: `choices = _inst.choices`."""
    if not isinstance(node, ast.Assign) or len(node.targets) != 1 or not isinstance(node.targets[0], ast.Name):
        return
    target, value = node.targets[0].id, node.value
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
        instances[target] = value.func.id
    elif isinstance(value, ast.Attribute) and isinstance(value.value, ast.Name) and not target.startswith("_"):
        owner = module.entries.get(instances.get(value.value.id, ""))
        member = next((each for each in owner.members if each.name == value.attr), None) if owner else None
        if member is not None:
            module.entries.setdefault(target, replace(member, kind="function", name=target))


def _function(node: ast.FunctionDef | ast.AsyncFunctionDef, name: str, *, method: bool = False) -> Entry:
    decorators = {ast.unparse(each).split("(")[0].rsplit(".", 1)[-1] for each in node.decorator_list}
    kind = "method" if method else "function"
    if "property" in decorators or "cached_property" in decorators:
        kind = "property"
    elif method and decorators & {"classmethod", "staticmethod"}:
        kind = "class method" if "classmethod" in decorators else "static method"
    elif isinstance(node, ast.AsyncFunctionDef):
        kind = f"coroutine {kind}"
    bound = method and "staticmethod" not in decorators
    signature = None if kind == "property" else _signature(node.args, drop_first=bound)
    return Entry(kind=kind, name=name, signature=signature, doc=ast.get_docstring(node) or "")


def _signature(args: ast.arguments, *, drop_first: bool) -> str:
    _shorten_defaults(args)
    if drop_first:
        if args.posonlyargs:
            args.posonlyargs.pop(0)
        elif args.args:
            args.args.pop(0)
        args.defaults = (
            args.defaults[-(len(args.posonlyargs) + len(args.args)) :] if args.args or args.posonlyargs else []
        )
    return f"({ast.unparse(args)})"


def _shorten_defaults(args: ast.arguments) -> None:
    lists: tuple[list[Any], ...] = (args.defaults, args.kw_defaults)
    for defaults in lists:
        for index, default in enumerate(defaults):
            plain = default is None or isinstance(default, (ast.Constant, ast.Name))
            if not plain and len(ast.unparse(default)) > _DEFAULT_CHARS:
                defaults[index] = ast.Name(id="...")


def _class(node: ast.ClassDef) -> Entry:
    bases = [written for each in node.bases if len(written := ast.unparse(each)) <= _DEFAULT_CHARS]
    error = node.name.endswith(("Error", "Exception", "Warning")) or any(
        base.endswith(("Error", "Exception", "Warning")) for base in bases
    )
    entry = Entry(
        kind="exception" if error else "class",
        name=node.name,
        doc=ast.get_docstring(node) or "",
        bases=[base.replace("_collections_abc.", "collections.abc.") for base in bases if base != "object"],
    )
    for member in _statements(node.body):
        if not isinstance(member, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if member.name == "__init__":
            initial = _function(member, "__init__", method=True)
            entry.signature = initial.signature
            if initial.doc:
                entry.doc = f"{entry.doc}\n\n{initial.doc}".strip()
        elif member.name == "__new__" and entry.signature is None:
            entry.signature = _function(member, "__new__", method=True).signature
        elif not member.name.startswith("_") and all(member.name != known.name for known in entry.members):
            entry.members.append(_function(member, member.name, method=True))
    return entry
