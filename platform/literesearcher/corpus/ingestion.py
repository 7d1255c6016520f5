"""A path on disk to pages: the walk through a folder, and what is left out of it and why.

Owns: which files are read, under which URL, within which bounds. Symbolic links are followed only to files inside the
folder. Bytes of a path that are no UTF-8 come from the system as lone surrogates. Refuses to know: the index. Below:
`documents` (one file, one page), `record_files` (one line, one page).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from literesearcher.corpus import documents, record_files
from literesearcher.corpus.records import TEXT_CHARS, URL_CHARS, AddReport, Record, Skipped
from literesearcher.errors import CallerError
from literesearcher.reading.unicode_text import valid_unicode

FILE_BYTES = 64_000_000
"""A larger file that is one page is left out."""
_IGNORED_FOLDERS = frozenset(("__pycache__", "node_modules"))


def pages(path: Path, name: str, report: AddReport) -> Iterator[Record]:
    """The pages under `path`, for the corpus `name`; what is left out goes to `report` as it is met."""
    if path.is_dir():
        root = path.resolve()
        for file in files(root, report):
            relative = file.relative_to(root).as_posix()
            yield from _file(file, valid_unicode(relative), f"corpus:{name}/{_quoted(relative)}", report, alone=False)
        return
    if not path.exists():
        raise CallerError(f"there is no file or folder {valid_unicode(str(path))}", field="path", code="path_missing")
    if not path.is_file():
        raise CallerError(
            f"{valid_unicode(str(path))} is neither a file nor a folder", field="path", code="path_unusable"
        )
    yield from _file(path, valid_unicode(path.name), f"corpus:{name}/{_quoted(path.name)}", report, alone=True)


def files(root: Path, report: AddReport) -> Iterator[Path]:
    """The files of a folder that are read, in a fixed order; what is left out goes to the report."""

    def failed(error: OSError) -> None:
        report.skipped.append(
            Skipped(valid_unicode(str(error.filename)), f"the folder cannot be read ({error.strerror})")
        )

    for folder, folders, names in os.walk(root, followlinks=False, onerror=failed):
        kept = []
        for each in sorted(folders):
            if each.startswith(".") or each in _IGNORED_FOLDERS:
                continue
            if (Path(folder) / each).is_symlink():
                report.skipped.append(_skipped(root, Path(folder) / each, "it is a link to a folder"))
                continue
            kept.append(each)
        folders[:] = kept
        for each in sorted(names):
            file = Path(folder) / each
            if each.startswith("."):
                continue
            if file.is_symlink() and not _inside(file, root):
                report.skipped.append(_skipped(root, file, "it is a link out of the folder, or to nothing"))
                continue
            yield file


def _inside(link: Path, root: Path) -> bool:
    try:
        return link.resolve(strict=True).is_relative_to(root)
    except (OSError, RuntimeError):
        return False


def _file(file: Path, shown: str, url: str, report: AddReport, *, alone: bool) -> Iterator[Record]:
    try:
        found = file.stat()
        if not stat.S_ISREG(found.st_mode):
            raise documents.Unreadable("it is not a regular file")
        if record_files.is_record_file(file.name, alone=alone):
            yield from _records(file, shown, url, report)
            return
        if found.st_size > FILE_BYTES:
            raise documents.Unreadable(f"it is larger than {FILE_BYTES // 1_000_000} MB")
        if len(url) > URL_CHARS:
            raise documents.Unreadable("its path is too long")
        with file.open("rb") as stream:
            document = documents.read(stream.read(FILE_BYTES + 1), valid_unicode(file.name))
    except documents.Unreadable as error:
        report.skipped.append(Skipped(shown, str(error)))
    except OSError as error:
        report.skipped.append(Skipped(shown, f"it cannot be read ({error.strerror or error})"))
    else:
        yield _cut(Record(url=url, title=document.title, text=document.text), report)


def _records(file: Path, shown: str, url: str, report: AddReport) -> Iterator[Record]:
    given = 0
    try:
        for number, line in record_files.lines(file):
            if line is None:
                report.break_line(shown, number, f"it is longer than {record_files.LINE_BYTES // 1_000_000} MB")
                continue
            try:
                found = record_files.record(line, f"{url}#{number}")
            except ValueError as error:
                report.break_line(shown, number, str(error))
            else:
                given += 1
                yield _cut(found, report)
    except record_files.BrokenFile as error:
        (report.partial if given else report.skipped).append(Skipped(shown, str(error)))


def _cut(record: Record, report: AddReport) -> Record:
    if len(record.text) <= TEXT_CHARS:
        return record
    report.cut += 1
    return Record(url=record.url, title=record.title, text=record.text[:TEXT_CHARS])


def _skipped(root: Path, path: Path, reason: str) -> Skipped:
    return Skipped(valid_unicode(path.relative_to(root).as_posix()), reason)


def _quoted(relative: str) -> str:
    """A path in a URL: letters of any script as they are, so that people can type it; other characters escaped."""
    return "".join(
        char if char.isalnum() or char in "/-_.~+@=," else quote(char, safe="", errors="surrogateescape")
        for char in relative
    )
