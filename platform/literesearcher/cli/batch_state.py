"""What a batch keeps in its folder: results as they come, which job stands for which rollout, and whose folder it is.

`results.jsonl` one whole line a finished rollout; `jobs.jsonl` one line a created job; `run.json` the run's id.
Owns: these files, written so that a kill at any moment leaves them readable. Refuses to know: how jobs run.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from literesearcher.errors import CallerError, ConfigurationError
from literesearcher.jobs.ids import new_id

FAILED = frozenset({"failed", "cancelled"})
"""Statuses that `--retry-failed` runs again."""
OUT_OF_BUDGET = "budget_spent"
"""In a status's place: the rollout was cut short by the day's budget, and is run again the next time."""


@dataclass(frozen=True, slots=True, order=True)
class Rollout:
    """One try at one item: the item's id and digest, and the number of the rollout from 1."""

    item: str
    digest: str
    number: int


class AppendedLines:
    """A JSONL file that only grows. A line torn by a kill is cut off when it is opened."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.unreadable = 0
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._cut_torn_line()

    def _cut_torn_line(self) -> None:
        size = os.fstat(self._descriptor).st_size
        position = size
        while position > 0:
            start = max(0, position - 65_536)
            newline = os.pread(self._descriptor, position - start, start).rfind(b"\n")
            if newline >= 0:
                position = start + newline + 1
                break
            position = start
        if position != size:
            os.ftruncate(self._descriptor, position)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The lines that can be read; others are counted."""
        with self._path.open("rb") as file:
            for line in file:
                try:
                    record = orjson.loads(line)
                except orjson.JSONDecodeError:
                    record = None
                if isinstance(record, dict):
                    yield record
                else:
                    self.unreadable += 1

    def append(self, record: dict[str, Any]) -> None:
        """One whole line, on the disk when this returns. `ConfigurationError` on a full disk."""
        line = orjson.dumps(record) + b"\n"
        try:
            while line:
                line = line[os.write(self._descriptor, line) :]
            os.fsync(self._descriptor)
        except OSError as error:
            self._cut_torn_line()
            raise ConfigurationError(f"{self._path} cannot be written ({error.strerror})", code="disk") from None

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


class BatchFolder:
    """The folder of one run, held by one process at a time."""

    def __init__(self, path: Path) -> None:
        """Raises CallerError where the folder cannot be used or another process works in it."""
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(path / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise CallerError(f"--out {path} cannot be written ({error.strerror})", field="out") from None
        self._open_files: list[AppendedLines] = []
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.run_id = _run_id(path / "run.json")
            self.results = self._open(path / "results.jsonl")
            self._jobs = self._open(path / "jobs.jsonl")
        except BlockingIOError:
            self.close()
            raise CallerError(f"another batch works in {path}: wait for it, or choose another --out") from None
        except OSError as error:
            self.close()
            raise CallerError(f"--out {path} cannot be written ({error.strerror})", field="out") from None
        self.finished: dict[Rollout, str] = {}
        """Status of each rollout that has a result; the last line counts."""
        self.tries: dict[Rollout, int] = {}
        """Results of each rollout so far."""
        self.jobs: dict[tuple[Rollout, int], str] = {}
        """Job id by rollout and try."""
        self._read()

    def _open(self, path: Path) -> AppendedLines:
        file = AppendedLines(path)
        self._open_files.append(file)
        return file

    def _read(self) -> None:
        for record in self.results:
            with contextlib.suppress(KeyError, TypeError):
                rollout = Rollout(record["item"], record["digest"], int(record["rollout"]))
                self.finished[rollout] = _status(record)
                self.tries[rollout] = self.tries.get(rollout, 0) + 1
        for record in self._jobs:
            with contextlib.suppress(KeyError, TypeError):
                rollout = Rollout(record["item"], record["digest"], int(record["rollout"]))
                self.jobs[rollout, int(record["try"])] = str(record["job"])

    def remember_job(self, rollout: Rollout, tried: int, job_id: str) -> None:
        """So that the job is found again after the store has forgotten its idempotency key."""
        self.jobs[rollout, tried] = job_id
        self._jobs.append(
            {"item": rollout.item, "digest": rollout.digest, "rollout": rollout.number, "try": tried, "job": job_id}
        )

    def remember_result(self, rollout: Rollout, record: dict[str, Any]) -> None:
        """The rollout is over."""
        self.results.append(record)
        self.finished[rollout] = _status(record)
        self.tries[rollout] = self.tries.get(rollout, 0) + 1

    def close(self) -> None:
        """Let go of the files and the lock. Safe to call twice."""
        for file in self._open_files:
            file.close()
        self._open_files = []
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _run_id(path: Path) -> str:
    """Made once for a folder; it keeps the same dataset in two folders apart."""
    if path.exists():
        try:
            run_id = orjson.loads(path.read_bytes())["run"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise CallerError(f"{path} is not a batch's run.json: choose another --out", field="out") from None
        return str(run_id)
    run_id = new_id("run")
    whole = path.with_suffix(".new")
    whole.write_bytes(orjson.dumps({"run": run_id}) + b"\n")
    os.replace(whole, path)
    return run_id


def _status(record: dict[str, Any]) -> str:
    return OUT_OF_BUDGET if record.get("stop_reason") == OUT_OF_BUDGET else str(record["status"])
