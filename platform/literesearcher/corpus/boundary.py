"""The border to the index library: what tantivy and the disk raise becomes a `BoundaryError` with a way out.

A write that fails leaves the index as it was, so none advises to remove it: only an index that cannot be read is
broken. Refuses to know: what was being done. Above: `corpus.storage`, `corpus.writing`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from literesearcher.errors import BoundaryError

_FULL_BELOW_BYTES = 1_000_000
"""A writer that died says not why; with less room than this on the disk, that was it."""
_FULL = ("No space left", "StorageFull", "Disk quota exceeded", "QuotaExceeded")
_UNWRITABLE = ("PermissionDenied", "Read-only file system", "File too large", "An index writer was killed")


@contextmanager
def guarded(directory: Path, *, writing: bool = False) -> Iterator[None]:
    """`corpus_full` for a full disk, `corpus_unwritable` for no permission or another failed write, `corpus_broken`
    for an index that cannot be read. `writing`: the index was opened, and is being written."""
    try:
        yield
    except BoundaryError:
        raise
    except PermissionError as error:
        raise BoundaryError(f"no permission on the corpus: {error}", code="corpus_unwritable") from error
    except (ValueError, OSError, KeyError, TypeError) as error:
        raise _classified(directory, str(error), writing) from error
    except BaseException as error:
        # pyo3's PanicException derives from BaseException, and no module exports it by name.
        if type(error).__name__ != "PanicException":
            raise
        raise _classified(directory, str(error), writing) from error


def _classified(directory: Path, reason: str, writing: bool) -> BoundaryError:
    if any(mark in reason for mark in _FULL) or (writing and _is_full(directory)):
        return BoundaryError(
            f"the disk under the corpus in {directory} is full, nothing was changed: make room and try again",
            code="corpus_full",
        )
    if any(mark in reason for mark in _UNWRITABLE):
        return BoundaryError(
            f"the corpus in {directory} cannot be written, nothing was changed: {reason[:300]}",
            code="corpus_unwritable",
        )
    return BoundaryError(
        f"the corpus in {directory} is broken ({reason[:300]}): remove it with `literesearcher corpus remove --all`, "
        "then add your files again with `literesearcher corpus add`; the built-in one is rebuilt at its next use",
        code="corpus_broken",
    )


def _is_full(directory: Path) -> bool:
    try:
        return shutil.disk_usage(directory).free < _FULL_BELOW_BYTES
    except OSError:
        return False
