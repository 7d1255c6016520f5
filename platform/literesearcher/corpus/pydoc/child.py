"""Program of the isolated child (`python -I -S`): imports the modules named on its command line, prints JSON lines.

Owns: what `inspect` says of built-in and extension modules. Imports the standard library only, and nothing of this
package: it runs as a file of its own, so that no documented module is imported where research runs.
Each line: `{"module", "doc", "entries": [{"kind", "name", "signature", "doc", "bases", "members"}], "constants"}`.
"""

import importlib
import inspect
import json
import sys
import types
from typing import Any

FUNCTIONS = (
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.ClassMethodDescriptorType,
)


def signature(value: Any) -> "str | None":
    """The signature as Python spells it, None where it has none."""
    try:
        return str(inspect.signature(value))
    except (ValueError, TypeError, AttributeError):
        return None


def doc(value: Any) -> str:
    """The docstring, cleaned; empty where there is none."""
    found = getattr(value, "__doc__", None)
    return inspect.cleandoc(found) if isinstance(found, str) else ""


def bound(text: "str | None") -> "str | None":
    """A method's signature without the instance."""
    if text is None:
        return None
    for first in ("$self, /", "self, /", "self", "type, /", "cls"):
        if text.startswith("(" + first):
            rest = text[1 + len(first) :]
            if rest.startswith(", "):
                return "(" + rest[2:]
            if rest.startswith(")"):
                return "(" + rest
    return text


def members(cls: type) -> "list[dict[str, Any]]":
    """Public methods and properties of a class, by name."""
    found = []
    for name, value in sorted(vars(cls).items()):
        if name.startswith("_"):
            continue
        if isinstance(value, (classmethod, types.ClassMethodDescriptorType)):
            kind, value = "class method", getattr(cls, name)
        elif isinstance(value, staticmethod):
            kind, value = "static method", getattr(cls, name)
        elif isinstance(value, (property, types.GetSetDescriptorType, types.MemberDescriptorType)):
            found.append({"kind": "property", "name": name, "signature": None, "doc": doc(value)})
            continue
        elif callable(value):
            kind = "method"
        else:
            continue
        found.append({"kind": kind, "name": name, "signature": bound(signature(value)), "doc": doc(value)})
    return found


def entry(name: str, value: Any) -> "dict[str, Any]":
    """A class, an exception or a function."""
    if isinstance(value, type):
        error = issubclass(value, BaseException)
        bases = [base.__name__ for base in value.__bases__ if base is not object]
        own = vars(value).get("__doc__")
        return {
            "kind": "exception" if error else "class",
            "name": name,
            "signature": signature(value),
            "doc": inspect.cleandoc(own) if isinstance(own, str) else "",
            "bases": bases,
            "members": [] if error else members(value),
        }
    return {"kind": "function", "name": name, "signature": signature(value), "doc": doc(value)}


def describe(name: str) -> "dict[str, Any]":
    """One module. Raises ImportError where this Python lacks it."""
    module = importlib.import_module(name)
    exported = getattr(module, "__all__", None)
    names = sorted(exported) if exported else sorted(each for each in dir(module) if not each.startswith("_"))
    entries, constants = [], []
    for each in names:
        value = getattr(module, each, None)
        owner = getattr(value, "__module__", None)
        if isinstance(value, type) and (
            value.__name__ != each or (value.__module__ == "builtins") != (name == "builtins")
        ):
            # Another name of a type that has its own page, such as `typing.Text`.
            continue
        if isinstance(value, (type, *FUNCTIONS)):
            own = owner is None or owner == name or owner.startswith("_") or owner in ("posix", "nt", "builtins")
            if exported or own:
                entries.append(entry(each, value))
        elif isinstance(value, (int, float, str)) and len(repr(value)) <= 80:
            constants.append([each, repr(value)])
    return {"module": name, "doc": doc(module), "entries": entries, "constants": constants}


def main() -> None:
    """A line a module that this Python has."""
    for name in sys.argv[1:]:
        try:
            described = describe(name)
        except ImportError:
            continue
        sys.stdout.write(json.dumps(described) + "\n")
    sys.stdout.flush()


main()
