"""The folder of a checkpoint, made whole before a runtime is started with it: downloaded once, checked, told of.

Owns: one download at a time a folder, whoever asks on this machine or over a shared volume; progress in the log; the
checksums; that a folder has its name only when it is whole. Refuses to know: the Hub's protocol (`hub_download`, a
process that is ended with the wait for it), runtimes. Above: `engine.sglang`, the commands `model fetch` and `check`.
Below: `engine.checkpoint`.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import os
import shutil
import sys
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from literesearcher.engine.checkpoint import MODEL_PATH, check_sum, file_sums, read_checkpoint, whole_sum
from literesearcher.engine.hub_download import partial_folder
from literesearcher.engine.start_phases import StartPhases
from literesearcher.errors import BoundaryError, ConfigurationError
from literesearcher.timing.clock import Clock

logger = logging.getLogger(__name__)

RECORD = ".literesearcher"
"""In the folder of a downloaded model: what it is of. No part of the checksum."""
TOLD_SECONDS = 5.0
"""How often the log says how far a download or a checksum is."""
_LOCK_SECONDS = 0.5
_SHOWN = 400


@dataclass(frozen=True, slots=True)
class Source:
    """A model of the Hub."""

    model: str
    revision: str = "main"

    def __str__(self) -> str:
        return self.model if self.revision == "main" else f"{self.model} at {self.revision}"


class Weights:
    """One folder, and where it comes from."""

    def __init__(
        self, folder: Path, source: Source | None, *, sha256: str | None, clock: Clock, setting: str = MODEL_PATH
    ) -> None:
        """Without a `source` the folder has to be there. `sha256`: what its files must give, None for no check;
        `setting`: what names the folder, for sentences."""
        self.folder = folder
        self.source = source
        self._sha256 = sha256
        self._clock = clock
        self.setting = setting

    @property
    def present(self) -> bool:
        """The folder has its name."""
        return self.folder.is_dir()

    async def ensure(self, phases: StartPhases) -> None:
        """Make it whole and check it. ConfigurationError where it cannot be so; BoundaryError `weights_unreachable`
        (the Hub), `weights_no_room`, `weights_failed`. Cancelling ends a download; the next goes on from there."""
        if not self.present and self.source is not None:
            with phases.phase("download"):
                checked = await self._downloaded(self.source)
            if checked:
                return
        self._check_record()
        if self._sha256 is not None and self.present:
            with phases.phase("checksum"):
                await self._check(self.folder)

    def _check_record(self) -> None:
        """That the folder is not another model's. A folder without a record was put there by hand."""
        if self.source is None:
            return
        try:
            held = Source(**orjson.loads((self.folder / RECORD).read_bytes())["source"])
        except (OSError, ValueError, KeyError, TypeError):
            return
        if held != self.source:
            raise ConfigurationError(
                f"{self.folder} holds {held}, and {self.source} is wanted: remove it, or name another folder with "
                f"{self.setting}"
            )

    async def _downloaded(self, source: Source) -> bool:
        """Whether it was done, and checked, here; else another process did it meanwhile."""
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"{self.folder.parent} cannot be made ({error.strerror})") from None
        async with self._alone(source):
            if self.present:
                return False
            partial, plan = await self._transfer(source)
            read_checkpoint(partial, setting=self.setting)
            try:
                await self._check(partial, plan["files"])
            except ConfigurationError:
                # Whoever tries again begins anew: of what is there nothing may be believed.
                await asyncio.to_thread(shutil.rmtree, partial, ignore_errors=True)
                raise
            record = {"source": dataclasses.asdict(source), "commit": plan["commit"]}
            try:
                (partial / RECORD).write_bytes(orjson.dumps(record))
                partial.rename(self.folder)
            except OSError as error:
                words = f"{source} is whole in {partial}, which cannot be named {self.folder} ({error.strerror})"
                raise BoundaryError(words, code="weights_failed", transient=False) from None
            for old in self.folder.parent.glob(f"{_escaped(self.folder.name)}.*.partial"):
                await asyncio.to_thread(shutil.rmtree, old, ignore_errors=True)
        logger.info("%s is whole in %s", source, self.folder)
        return True

    @contextlib.asynccontextmanager
    async def _alone(self, source: Source) -> AsyncIterator[None]:
        """Held by one process at a time, and by none that died."""
        # Here, since it is of POSIX alone, as what downloads weights is.
        import fcntl

        lock = self.folder.with_name(f"{self.folder.name}.lock")
        try:
            held = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise ConfigurationError(f"{lock} cannot be made ({error.strerror}): may this user write there?") from None
        try:
            told = None
            while True:
                try:
                    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    now = self._clock.monotonic()
                    if told is None or now - told >= TOLD_SECONDS * 6:
                        logger.warning("another process downloads %s into %s: waiting for it", source, self.folder)
                        told = now
                    await self._clock.sleep(_LOCK_SECONDS)
            yield
        finally:
            os.close(held)

    async def _transfer(self, source: Source) -> tuple[Path, dict[str, Any]]:
        """The partial folder with all files, and the Hub's plan of them."""
        command = ("-m", "literesearcher.engine.hub_download", source.model, source.revision, str(self.folder))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=16 * 1024 * 1024,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        words = asyncio.ensure_future(_last_words(process.stderr))
        following: asyncio.Future[None] | None = None
        plan: dict[str, Any] = {}
        end: dict[str, Any] = {}
        try:
            async for line in process.stdout:
                said = orjson.loads(line)
                if "files" in said:
                    plan = said
                    following = asyncio.ensure_future(self._tell(source, plan))
                else:
                    end = said
            await process.wait()
            last = await words
        finally:
            for task in (words, following):
                if task is not None:
                    task.cancel()
            if process.returncode is None:
                process.kill()
                await process.wait()
        if not end.get("done"):
            raise _failed(source, end, last)
        return partial_folder(self.folder, plan["commit"]), plan

    async def _tell(self, source: Source, plan: dict[str, Any]) -> None:
        """Progress, by what lies on the disk."""
        partial = partial_folder(self.folder, plan["commit"])
        total = sum(one["size"] for one in plan["files"])
        first = before = _size(partial)
        logger.warning(
            "downloading %s (%s) into %s%s",
            *(source, _bytes(total), self.folder),
            f", {_bytes(first)} of it are there" if first else "",
        )
        at = self._clock.monotonic()
        while True:
            await self._clock.sleep(TOLD_SECONDS)
            have, then = _size(partial), self._clock.monotonic()
            rate = (have - before) / max(then - at, 1e-9)
            logger.warning(
                "downloading %s: %s of %s (%.0f%%), %s/s",
                *(source, _bytes(have), _bytes(total), 100 * have / max(total, 1), _bytes(rate)),
            )
            before, at = have, then

    async def checked(self) -> str:
        """The checksum of what is there. ConfigurationError where it is not what was wanted."""
        self._check_record()
        sums = await self._sums(self.folder)
        if self._sha256 is not None:
            check_sum(sums, self._sha256, self.folder)
        return whole_sum(sums)

    async def _check(self, folder: Path, files: Sequence[Mapping[str, Any]] = ()) -> None:
        """Against the operator's sum, and against what the Hub said of its `files`."""
        given = {one["name"]: str(one["sha256"]) for one in files if one["sha256"]}
        if self._sha256 is None and not given:
            return
        sums = await self._sums(folder)
        broken = sorted(name for name, one in given.items() if sums.get(name, one) != one)
        if broken:
            raise ConfigurationError(f"{broken[0]} did not come as the Hub has it: download {self.source} again")
        if self._sha256 is not None:
            check_sum(sums, self._sha256, folder)

    async def _sums(self, folder: Path) -> dict[str, str]:
        """In a thread, which ends when this is cancelled."""
        cancelled = threading.Event()
        told = self._clock.monotonic()

        def progress(read: int, total: int) -> None:
            nonlocal told
            if cancelled.is_set():
                raise RuntimeError("cancelled")
            if self._clock.monotonic() - told >= TOLD_SECONDS:
                told = self._clock.monotonic()
                logger.warning("checking %s: %.0f%% of %s", folder, 100 * read / total, _bytes(total))

        try:
            return await asyncio.to_thread(file_sums, folder, progress)
        except OSError as error:
            raise ConfigurationError(f"{folder} cannot be read ({error.strerror})") from None
        finally:
            cancelled.set()


def _failed(source: Source, end: dict[str, Any], last: str) -> ConfigurationError | BoundaryError:
    message = end.get("error") or f"the download of {source} broke off: {last or 'its process was ended'}"
    code = end.get("code") or "weights_failed"
    if code == "invalid_setting":
        return ConfigurationError(message, code=code)
    return BoundaryError(message, code=code, transient=bool(end.get("transient")))


async def _last_words(stream: asyncio.StreamReader) -> str:
    """What the client says goes to the log; the last line of it."""
    last = ""
    async for line in stream:
        said = " ".join(line.decode("utf-8", "replace").split())[:_SHOWN]
        if said:
            last = said
            logger.info("huggingface_hub: %s", said)
    return last


def _size(folder: Path) -> int:
    try:
        return sum(entry.stat().st_size for entry in os.scandir(folder) if entry.is_file())
    except OSError:
        return 0


def _bytes(count: float) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e8 else f"{count / 1e6:.2f} MB"


def _escaped(name: str) -> str:
    """For a glob."""
    return "".join(f"[{one}]" if one in "*?[" else one for one in name)
