"""The border to the index library: what tantivy and the disk raise becomes a `BoundaryError` with a way out.

Refuses to know: what was being done. Above: `corpus.storage`, `corpus.writing`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from literesearcher.errors import BoundaryError


@contextmanager
def guarded(directory: Path) -> Iterator[None]:
    """`corpus_broken` for an index that cannot be read, `corpus_unwritable` for a full disk or no permission."""
    try:
        yield
    except BoundaryError:
        raise
    except PermissionError as error:
        raise BoundaryError(f"no permission on the corpus: {error}", code="corpus_unwritable") from error
    except (ValueError, OSError, KeyError, TypeError) as error:
        raise _classified(directory, str(error)) from error
    except BaseException as error:
        # pyo3's PanicException derives from BaseException, and no module exports it by name.
        if type(error).__name__ != "PanicException":
            raise
        raise _classified(directory, str(error)) from error


def _classified(directory: Path, reason: str) -> BoundaryError:
    if any(mark in reason for mark in ("No space left", "StorageFull", "PermissionDenied", "Read-only file system")):
        return BoundaryError(
            f"the corpus in {directory} cannot be written, nothing was changed: {reason[:300]}",
            code="corpus_unwritable",
        )
    return BoundaryError(
        f"the corpus in {directory} is broken ({reason[:300]}): remove it with `literesearcher corpus remove --all`, "
        "then add your files again with `literesearcher corpus add`; the built-in one is rebuilt at its next use",
        code="corpus_broken",
    )
