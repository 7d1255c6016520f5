"""One model of the Hugging Face Hub into one folder, in a process of its own: `python -m ... MODEL REVISION FOLDER`.

Owns: everything that knows `huggingface_hub`: which files a model has, fetching them from where an earlier try ended,
and the sentence for what goes wrong. A process, so that giving up is ending it, however deep in a transfer; it ends
when its standard input does, which is when its parent does. Refuses to know: locks, checksums, what the files hold.
Says on standard output, a JSON object a line: first `{"commit", "files"}`, last `{"done": true}` or
`{"error", "code", "transient"}`. Above: `engine.weights`. The client goes on by itself when a transfer breaks, until
five times in a row no byte came.
"""

from __future__ import annotations

import errno
import importlib
import os
import re
import shutil
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson

KEPT = (".safetensors", ".json", ".txt", ".jinja", ".model")
"""Weights, shapes, tokenizer, templates. Other forms of the same weights, pictures and readmes stay where they are."""
AT_ONCE = 4
"""Files fetched at once: one transfer rarely fills a node's link."""
_COMMIT = re.compile(r"[0-9a-f]{12,64}")
"""A folder is named by it."""
_SPARE = 256 * 1024 * 1024
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Failed(Exception):
    """What is told to the parent."""

    def __init__(self, message: str, code: str, *, transient: bool = False) -> None:
        super().__init__(message)
        self.told = {"error": message, "code": code, "transient": transient}


def partial_folder(folder: Path, commit: str) -> Path:
    """Where a download of that commit into `folder` lies until it is whole. A commit's files never change."""
    return folder.with_name(f"{folder.name}.{commit[:12]}.partial")


def download(model: str, revision: str, folder: Path) -> None:
    """Fetch what is missing. `Failed` with a sentence."""
    hub = importlib.import_module("huggingface_hub")
    errors = importlib.import_module("huggingface_hub.errors")
    importlib.import_module("huggingface_hub.utils").disable_progress_bars()
    what = f"{model} at {revision}"
    try:
        info = hub.HfApi().model_info(model, revision=revision, files_metadata=True, timeout=30)
        if not _COMMIT.fullmatch(info.sha or ""):
            raise Failed(f"the Hub names no commit of {what}: {str(info.sha)[:60]!r}", "weights_failed")
        files = [one for one in info.siblings or () if _wanted(one.rfilename)]
        _say({"commit": info.sha, "files": [_told(one) for one in files]})
        if not files:
            raise Failed(f"the Hub's {what} holds no files of a checkpoint", "invalid_setting")
        partial = partial_folder(folder, info.sha)
        partial.mkdir(parents=True, exist_ok=True)
        _check_room(partial, files)
        _fetch_all(files, lambda one: _fetch(hub, model, info.sha, one, partial))
    except errors.GatedRepoError:
        raise Failed(
            f"the Hub gives {what} to those alone whom its owner let in: ask there, and set HF_TOKEN", "invalid_setting"
        ) from None
    except errors.RevisionNotFoundError:
        raise Failed(f"the Hub's {model} has no revision {revision}", "invalid_setting") from None
    except errors.RepositoryNotFoundError:
        raise Failed(
            f"the Hub has no model {model}, or not for everybody: correct the name, or set HF_TOKEN", "invalid_setting"
        ) from None
    except errors.HFValidationError as error:
        raise Failed(f"{model!r} is no name of a model on the Hub: {_words(error)}", "invalid_setting") from None
    except errors.OfflineModeIsEnabled:
        raise Failed(f"{what} is not here, and HF_HUB_OFFLINE forbids downloading it", "invalid_setting") from None
    except errors.HfHubHTTPError as error:
        raise _refused(what, error) from None
    except errors.HTTPError as error:
        raise Failed(
            f"the Hub cannot be reached for {what} ({type(error).__name__}): connect this machine, set HF_ENDPOINT "
            "to a mirror, or put the files there by hand",
            "weights_unreachable",
            transient=True,
        ) from None
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise _no_room(folder) from None
        raise Failed(f"{what} cannot be written to {folder}: {_words(error)}", "weights_failed") from None


def _refused(what: str, error: Any) -> Failed:
    status = error.response.status_code
    if status in (401, 403):
        return Failed(f"the Hub refuses {what} ({status}): set HF_TOKEN to a token that may read it", "invalid_setting")
    if status == 404:
        return Failed(f"the Hub has no {what}", "invalid_setting")
    return Failed(f"the Hub failed while {what} was fetched: status {status}", "weights_unreachable", transient=True)


def _wanted(name: str) -> bool:
    """Files of the checkpoint itself: what lies in folders is another form of it."""
    return name.endswith(KEPT) and name.isprintable() and "/" not in name and "\\" not in name and name[0] != "."


def _told(sibling: Any) -> dict[str, Any]:
    lfs = sibling.lfs
    return {"name": sibling.rfilename, "size": sibling.size or 0, "sha256": lfs.sha256 if lfs is not None else None}


def _check_room(partial: Path, files: Iterable[Any]) -> None:
    missing = sum(one.size or 0 for one in files) - sum(path.stat().st_size for path in partial.iterdir())
    if missing > 0 and missing + _SPARE > shutil.disk_usage(partial).free:
        raise _no_room(partial.parent, missing)


def _no_room(folder: Path, missing: int | None = None) -> Failed:
    size = f"the {missing / 1e9:.1f} GB that are missing" if missing is not None else "the rest of the download"
    return Failed(f"{folder} has no room for {size}: make some, and what is there is gone on with", "weights_no_room")


def _fetch_all(files: Iterable[Any], fetch: Callable[[Any], None]) -> None:
    threads = ThreadPoolExecutor(AT_ONCE)
    try:
        for _ in threads.map(fetch, files):
            pass
    finally:
        # Where one failed the others are not waited for: the process ends.
        threads.shutdown(wait=False, cancel_futures=True)


def _fetch(hub: Any, model: str, commit: str, sibling: Any, partial: Path) -> None:
    """One file: what is there of it is its beginning."""
    http_get = importlib.import_module("huggingface_hub.file_download").http_get
    headers = importlib.import_module("huggingface_hub.utils").build_hf_headers()
    place, size = partial / sibling.rfilename, sibling.size
    with place.open("ab") as file:
        have = file.tell()
        if size is None or have > size:
            file.truncate(0)
            have = 0
        if have != size:
            url = hub.hf_hub_url(model, sibling.rfilename, revision=commit)
            http_get(url, file, resume_size=have, headers=headers, expected_size=size)


def _words(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]


def _say(told: dict[str, Any]) -> None:
    sys.stdout.buffer.write(orjson.dumps(told) + b"\n")
    sys.stdout.buffer.flush()


def _end_with_the_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


def main() -> None:
    """The process."""
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    model, revision, folder = sys.argv[1:]
    try:
        download(model, revision, Path(folder))
    except Failed as failed:
        _say(failed.told)
        # Transfers of other files may still run: nothing of them is waited for.
        sys.stdout.flush()
        os._exit(1)
    _say({"done": True})


if __name__ == "__main__":
    main()
