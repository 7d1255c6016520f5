"""An index that this process may read and not write: a private folder of links to it, as of one commit.

tantivy takes a lock file beside the index to open it, which a read-only volume refuses. The links let the lock be
taken here, and nothing is copied but `meta.json`, which says which files make up the commit.
Owns: the folder and bringing it up to date. Refuses to know: queries, formats. Above: `corpus.storage`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from pathlib import Path

_OWN = ("meta.json", ".managed.json")


class BorrowedView:
    """A folder of links that goes away with this object."""

    def __init__(self, index_dir: Path) -> None:
        self._index_dir = index_dir
        self.directory = Path(tempfile.mkdtemp(prefix="literesearcher-corpus-"))
        self._remove = weakref.finalize(self, shutil.rmtree, self.directory, ignore_errors=True)

    def refresh(self) -> None:
        """Show the last commit. OSError where the index cannot be read."""
        meta = (self._index_dir / "meta.json").read_bytes()
        there = {
            entry.name for entry in self._index_dir.iterdir() if entry.name not in _OWN and entry.suffix != ".lock"
        }
        for entry in self.directory.iterdir():
            if entry.is_symlink() and entry.name not in there:
                entry.unlink()
        for name in there:
            link = self.directory / name
            if not link.is_symlink():
                link.symlink_to((self._index_dir / name).absolute())
        beside = self.directory / "meta.json.next"
        beside.write_bytes(meta)
        beside.replace(self.directory / "meta.json")

    def close(self) -> None:
        """Remove the folder. Safe to call twice."""
        self._remove()


def may_write(directory: Path) -> bool:
    """May this process write there, or make the directory?"""
    there = directory
    while not there.exists() and there != there.parent:
        there = there.parent
    return os.access(there, os.W_OK)
