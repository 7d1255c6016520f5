"""Entries to pages: a page a module, class and function, as Markdown with signature, docstring and parameters.

Refuses to know: how entries were read, the index.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from literesearcher.corpus.pydoc.entries import Entry, Module
from literesearcher.corpus.records import Record
from literesearcher.research.passages import shorten

_SUMMARY_CHARS = 200
_MEMBERS = 400
_SENTENCE = re.compile(r"(?<=[a-z0-9)'`\"\]]\.)\s+(?=[A-Z(\[`*])")
_UNDERLINED = re.compile(r"^\s*[~=*^-]{3,}\s*$", re.MULTILINE)
_PLACEHOLDER = re.compile(r"=(?!None\b|True\b|False\b)[A-Za-z_]\w*")
"""`default=obj` in a docstring's call says what to give, not what the default is."""
_CALL_END = re.compile(r"\s*-+>\s*|\s+--+\s+")
_PARAMETER = re.compile(r"^\**[A-Za-z_]\w*")


def records(module: Module) -> Iterator[Record]:
    """The module's page, then a page for each of its classes and functions."""
    yield _module_page(module)
    for entry in module.entries.values():
        yield _entry_page(module, entry)
        for member in entry.members[:_MEMBERS]:
            if member.doc:
                yield _member_page(module, entry, member)


def shown(module: str, name: str) -> str:
    """A name as people write it: built-in names stand alone."""
    return name if module == "builtins" else f"{module}.{name}"


def summary(entry: Entry) -> str:
    """The first sentence of the docstring."""
    return _first_sentence(_parted(entry)[1])


def _first_sentence(text: str) -> str:
    paragraph = next((part for part in text.strip().split("\n\n") if not _UNDERLINED.search(part)), "")
    return shorten(_SENTENCE.split(" ".join(paragraph.split()), maxsplit=1)[0], _SUMMARY_CHARS)


def _parted(entry: Entry) -> tuple[str | None, str]:
    """Signature and docstring. Docstrings written in C often open with the call itself."""
    text = entry.doc.strip()
    name = entry.name.rsplit(".", 1)[-1]
    lines = text.split("\n")
    calls = []
    while lines and re.match(rf"(?:\w+\.)*{re.escape(name)}\(", lines[0].strip()):
        calls.append(lines.pop(0).strip())
    rest = "\n".join(lines).strip()
    if not calls:
        return entry.signature, text
    told = [_CALL_END.split(call, maxsplit=1)[-1].strip() for call in calls]
    goes_on = bool(lines) and bool(lines[0].strip())
    if len(calls) > 1:
        rest = f"{rest}\n\n" + "\n".join(calls)
    elif not rest or (goes_on and len(told[0].split()) > 2):
        # One sentence that begins on the line of the call and goes on below it.
        rest = f"{told[0][:1].upper()}{told[0][1:]}\n{rest}"
    signature = entry.signature
    if signature is None or "*args, **kwargs" in signature:
        call = _CALL_END.split(calls[0], maxsplit=1)[0]
        signature = _PLACEHOLDER.sub("", call[call.index("(") :].replace("[", "").replace("]", ""))
    return signature, rest.strip()


def _module_page(module: Module) -> Record:
    about = _first_sentence(module.doc)
    head = [f"# {module.name}", f"The module `{module.name}` of the Python standard library.", module.doc.strip()]
    if module.name == "builtins":
        head[1] = "The names that are built into Python and need no import."
    groups: dict[str, list[str]] = {"Functions": [], "Classes": [], "Exceptions": []}
    for entry in module.entries.values():
        group = {"class": "Classes", "exception": "Exceptions"}.get(entry.kind, "Functions")
        told = summary(entry)
        name = f"`{shown(module.name, entry.name)}`"
        groups[group].append(f"- {name}: {told}" if told else f"- {name}")
    listed = [f"## {title} of {module.name}\n\n" + "\n".join(lines) for title, lines in groups.items() if lines]
    if module.constants:
        lines = [f"- `{module.name}.{name}` = `{value}`" for name, value in module.constants[:200]]
        listed.append(f"## Constants of {module.name}\n\n" + "\n".join(lines))
    names = " ".join(module.entries)
    return Record(
        url=f"pydoc:{module.name}",
        title=f"{module.name} — {about}" if about else module.name,
        text="\n\n".join(part for part in [*head, *listed] if part),
        # Its functions have pages of their own to be found by: their summaries here would only hide those.
        indexed="\n\n".join(part for part in [*head, names] if part),
    )


def _entry_page(module: Module, entry: Entry) -> Record:
    name = shown(module.name, entry.name)
    signature, text = _parted(entry)
    about = summary(entry)
    parts = [f"# {name}"]
    if signature is not None:
        parts.append(f"`{name}{signature}`")
    parts.append(_kind_line(module, entry))
    if text:
        parts.append(text)
    parameters = _parameters(signature)
    if parameters:
        parts.append(f"Parameters of {name}: {parameters}.")
    own = "\n\n".join(parts)
    sections = "".join("\n\n" + _member(entry, member) for member in entry.members[:_MEMBERS])
    text = own + sections
    return Record(
        url=f"pydoc:{module.name}.{entry.name}",
        title=f"{name} — {about}" if about else name,
        text=text,
        indexed=f"{own}\n\n{' '.join(member.name for member in entry.members)}",
    )


def _member_page(module: Module, owner: Entry, member: Entry) -> Record:
    name = f"{shown(module.name, owner.name)}.{member.name}"
    signature, text = _parted(member)
    about = _first_sentence(text)
    own = "\n\n".join(
        (
            f"# {name}",
            f"`{name}{signature or ''}`",
            f"{member.kind.capitalize()} of the {owner.kind} `{shown(module.name, owner.name)}`.",
            text,
        )
    )
    parameters = _parameters(signature)
    if parameters:
        own += f"\n\nParameters of {name}: {parameters}."
    return Record(
        url=f"pydoc:{module.name}.{owner.name}.{member.name}",
        title=f"{name} — {about}" if about else name,
        text=own,
    )


def _kind_line(module: Module, entry: Entry) -> str:
    kind = entry.kind[0].upper() + entry.kind[1:]
    bases = f" (a subclass of {', '.join(f'`{base}`' for base in entry.bases)})" if entry.bases else ""
    if module.name == "builtins":
        return f"Built-in {entry.kind}{bases}."
    about = _first_sentence(module.doc).rstrip(".")
    return f"{kind}{bases} of the module `{module.name}`" + (f": {about}." if about else ".")


def _member(owner: Entry, member: Entry) -> str:
    signature, text = _parted(member)
    head = f"### {owner.name}.{member.name}{signature or ''}"
    if member.kind == "property":
        head += " (property)"
    return f"{head}\n\n{text or f'{member.kind.capitalize()} of {owner.name}.'}"


def _parameters(signature: str | None) -> str:
    """The parameters in words: whether each is positional, keyword or keyword-only, and its default."""
    if not signature or not signature.startswith("("):
        return ""
    inner = signature[1 : signature.rfind(")")]
    told: list[str] = []
    keyword_only = False
    positional = ", /" in signature or "(/" in signature
    for part in _arguments(inner):
        if part == "*":
            keyword_only = True
        elif part == "/":
            positional = False
        elif match := _PARAMETER.match(part):
            name = match.group()
            default = part[len(name) :].partition("=")[2].strip()
            kind = "positional-only argument" if positional else "argument"
            if name.startswith("**"):
                kind = "further keyword arguments"
            elif name.startswith("*"):
                kind, keyword_only = "any number of positional arguments", True
            elif keyword_only:
                kind = "keyword-only argument"
            elif default and not positional:
                kind = "keyword argument"
            told.append(f"`{name}` ({kind}{f', default `{default}`' if default else ''})")
    return ", ".join(told)


def _arguments(inner: str) -> list[str]:
    parts: list[str] = []
    depth, start = 0, 0
    for index, char in enumerate(inner):
        depth += (char in "([{") - (char in ")]}")
        if char == "," and depth == 0:
            parts.append(inner[start:index].strip())
            start = index + 1
    parts.append(inner[start:].strip())
    return [part for part in parts if part]
