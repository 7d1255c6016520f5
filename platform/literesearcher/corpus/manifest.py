"""Corpora by manifest: one file says what there is, so that every machine that builds it has the same pages.

`{"corpora": [{"name": "handbook", "path": "handbook/", "tenant": "*", "sha256": "…"}]}`: paths are relative to the
manifest; `tenant` `*` is everybody's (default: `default`, the tenant of a platform without keys); `sha256` (optional)
is checked. Owns: the file's form, what is built, kept and removed for it. Refuses to know: the terminal, the index's
files. Below: `corpus.library`. All calls block.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from literesearcher.corpus import ingestion
from literesearcher.corpus.library import Library, Progress, checked_name
from literesearcher.corpus.records import AddReport, BuildReport, Listed
from literesearcher.errors import CallerError
from literesearcher.reading.unicode_text import valid_unicode

MAX_BYTES = 4_000_000
MAX_TENANT_CHARACTERS = 64
_FIELDS = {"name", "path", "tenant", "sha256"}
_CHUNK = 1 << 20


def build(library: Library, manifest: Path, progress: Progress | None = None) -> BuildReport:
    """Make the corpora of manifests be what this one says, in one commit; others are let be.

    `CallerError` names the entry at fault, and then nothing was changed.
    """
    return library.keep_listed(read(manifest), progress)


def read(manifest: Path) -> list[Listed]:
    """The entries, their files digested. `CallerError` with the field at fault."""
    try:
        if manifest.stat().st_size > MAX_BYTES:
            raise CallerError(f"a manifest may hold {MAX_BYTES:,} bytes", field="manifest")
        data = json.loads(manifest.read_text(encoding="utf-8"))
    except OSError as error:
        told = valid_unicode(str(manifest))
        raise CallerError(f"the manifest {told} cannot be read ({error.strerror})", field="manifest") from None
    except (ValueError, RecursionError):
        raise CallerError(f"the manifest {valid_unicode(str(manifest))} is not JSON", field="manifest") from None
    listed = data.get("corpora") if isinstance(data, dict) else None
    if not isinstance(listed, list) or set(data) != {"corpora"}:
        raise CallerError('a manifest is {"corpora": [...]} and nothing else', field="corpora")
    entries = [_listed(item, f"corpora.{index}", manifest.parent) for index, item in enumerate(listed)]
    seen: set[tuple[str, str]] = set()
    for index, entry in enumerate(entries):
        if (entry.tenant, entry.name) in seen:
            raise CallerError(f"{entry.name} stands twice in the manifest", field=f"corpora.{index}.name")
        seen.add((entry.tenant, entry.name))
    return entries


def _listed(item: Any, where: str, folder: Path) -> Listed:
    if not isinstance(item, dict) or not item.keys() <= _FIELDS or not {"name", "path"} <= item.keys():
        raise CallerError(f"{where} has name and path, and may have tenant and sha256", field=where)
    for name, value in item.items():
        if not isinstance(value, str) or not value.strip():
            raise CallerError(f"{where}.{name} must be text", field=f"{where}.{name}")
    tenant = item.get("tenant", "default")
    if len(tenant) > MAX_TENANT_CHARACTERS:
        raise CallerError(f"{where}.tenant is longer than {MAX_TENANT_CHARACTERS} characters", field=f"{where}.tenant")
    try:
        name = checked_name(item["name"])
    except CallerError as error:
        raise CallerError(f"{where}.name: {error.message}", field=f"{where}.name") from None
    path = folder / item["path"]
    try:
        digest = digest_of(path)
    except OSError as error:
        raise CallerError(
            f"{where}.path: {valid_unicode(str(path))} cannot be read ({error.strerror})", field=f"{where}.path"
        ) from None
    wanted = item.get("sha256")
    if wanted is not None and wanted.lower() != digest:
        raise CallerError(
            f"{where}.sha256: {valid_unicode(str(path))} has the digest {digest}, not the one that the manifest says",
            field=f"{where}.sha256",
        )
    return Listed(name, path, tenant, digest)


def digest_of(path: Path) -> str:
    """SHA-256 hex over the files that an `add` of the path would read. OSError where there are none to read."""
    whole = sha256()
    for name, file in _files(path):
        data = sha256()
        with file.open("rb") as opened:
            while chunk := opened.read(_CHUNK):
                data.update(chunk)
        whole.update(name.encode("utf-8", "surrogateescape") + b"\0" + data.digest())
    return whole.hexdigest()


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    if path.is_dir():
        for file in ingestion.files(path.resolve(), AddReport("")):
            if file.is_file():
                yield file.relative_to(path.resolve()).as_posix(), file
    else:
        yield "", path
