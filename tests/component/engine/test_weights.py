"""Weights from a hub on loopback, by the command as an operator types it and by the real client."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hub_server import COMMIT, MODEL, Hub, checkpoint, serving
from literesearcher.cli import main
from literesearcher.engine.checkpoint import file_sums, whole_sum
from literesearcher.engine.start_phases import StartPhases
from literesearcher.engine.weights import RECORD, TOLD_SECONDS, Source, Weights
from literesearcher.errors import ConfigurationError
from literesearcher.testing.manual_clock import ManualClock
from literesearcher.timing.clock import SystemClock
from process_tree import children as children_of

SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving(checkpoint()) as made:
        yield made


class Commands:
    """`literesearcher model ...` against the hub, its data in a folder of the test's own."""

    def __init__(self, hub: Hub, home: Path) -> None:
        self.home = home
        self.folder = home / "data" / "models" / MODEL.replace("/", "--")
        kept = {name: os.environ[name] for name in ("PATH",) if name in os.environ}
        self.environ = {
            **kept,
            "HOME": str(home),
            "HF_ENDPOINT": hub.url,
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "LITERESEARCHER_DATA_DIR": str(home / "data"),
            "LITERESEARCHER_SGLANG__MODEL_ID": MODEL,
        }

    def start(self, *words: str, prepare: Callable[[], None] | None = None, **settings: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "literesearcher.cli.main", "model", *words],
            env={**self.environ, **settings},
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=prepare,
        )

    def run(self, *words: str, prepare: Callable[[], None] | None = None, **settings: str) -> tuple[int, str, str]:
        process = self.start(*words, prepare=prepare, **settings)
        out, errors = process.communicate(timeout=120)
        assert "Traceback" not in errors
        return process.returncode, out, errors

    @property
    def partial(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.{COMMIT[:12]}.partial")


@pytest.fixture
def commands(hub: Hub, tmp_path: Path) -> Commands:
    return Commands(hub, tmp_path)


def waited(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)


def test_fetch_brings_the_checkpoint_and_nothing_else_and_does_so_once(hub: Hub, commands: Commands):
    code, out, errors = commands.run("fetch")
    assert code == 0, errors
    assert str(commands.folder) in out
    assert "downloading some-lab/Tiny-1B" in errors
    kept = {path.name for path in commands.folder.iterdir()}
    assert kept == {*SHARDS, "config.json", "tokenizer.json", "model.safetensors.index.json", RECORD}
    for name in SHARDS:
        assert (commands.folder / name).read_bytes() == hub.files[name]
    assert [path.name for path in commands.folder.parent.glob("*.partial")] == []
    before = len(hub.requests)
    assert commands.run("fetch")[0] == 0
    assert len(hub.requests) == before


def test_check_prints_the_sum_that_the_setting_takes(hub: Hub, commands: Commands):
    assert commands.run("fetch")[0] == 0
    code, out, _ = commands.run("check")
    wanted = whole_sum(file_sums(commands.folder))
    assert (code, out.split()[-1]) == (0, wanted)
    assert commands.run("check", LITERESEARCHER_SGLANG__MODEL_SHA256=wanted)[0] == 0
    with (commands.folder / SHARDS[0]).open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"x")
    code, out, errors = commands.run("check", LITERESEARCHER_SGLANG__MODEL_SHA256=wanted)
    assert (code, out) == (2, "")
    assert "is not the one that LITERESEARCHER_SGLANG__MODEL_SHA256 names" in errors


def test_of_two_at_once_one_downloads_and_the_other_says_that_it_waits(hub: Hub, commands: Commands):
    hub.pause_after = 1024 * 1024
    first = commands.start("fetch")
    assert hub.paused.wait(120)
    second = commands.start("fetch")
    assert second.stderr is not None
    said = second.stderr.readline()
    assert "another process downloads some-lab/Tiny-1B" in said
    hub.go_on.set()
    for process in (first, second):
        assert process.communicate(timeout=120)[0].count(str(commands.folder)) == 1
        assert process.returncode == 0
    assert set(hub.sent.values()) <= {0, 1}


def test_a_killed_download_leaves_no_process_and_no_folder_and_the_next_goes_on_from_its_bytes(
    hub: Hub, commands: Commands
):
    # The client writes ten megabytes at a time.
    hub.files = checkpoint(24 * 1024 * 1024)
    hub.pause_after = 12 * 1024 * 1024
    process = commands.start("fetch")
    assert hub.paused.wait(120)
    waited(lambda: any(_size(commands.partial / name) >= 10 * 1024 * 1024 for name in SHARDS))
    children = children_of(process.pid)
    assert children
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    waited(lambda: not any(Path(f"/proc/{child}").exists() for child in children))
    assert not commands.folder.exists()
    hub.go_on.set()
    hub.requests.clear()
    assert commands.run("fetch")[0] == 0
    begun = [asked for name, asked in hub.requests if name in SHARDS and asked is not None]
    assert begun
    for name in SHARDS:
        assert (commands.folder / name).read_bytes() == hub.files[name]


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@pytest.mark.parametrize(
    ("settings", "status", "code", "told"),
    [
        ({"LITERESEARCHER_SGLANG__MODEL_ID": "some-lab/other"}, None, 2, "the Hub has no model some-lab/other"),
        ({"LITERESEARCHER_SGLANG__MODEL_REVISION": "v9"}, None, 2, "has no revision v9"),
        ({}, (401, "GatedRepo"), 2, "set HF_TOKEN"),
        ({}, (403, ""), 2, "set HF_TOKEN"),
        ({}, (500, ""), 1, "status 500"),
        ({"HF_ENDPOINT": "http://127.0.0.1:9"}, None, 1, "the Hub cannot be reached"),
        ({"HF_HUB_OFFLINE": "1"}, None, 2, "HF_HUB_OFFLINE forbids"),
        ({"LITERESEARCHER_SGLANG__MODEL_ID": "../../etc"}, None, 2, "LITERESEARCHER_SGLANG__MODEL_ID"),
        ({"LITERESEARCHER_SGLANG__MODEL_SHA256": "abc"}, None, 2, "LITERESEARCHER_SGLANG__MODEL_SHA256"),
        ({"LITERESEARCHER_SGLANG__MODEL_ID": ""}, None, 2, "no checkpoint is wanted"),
    ],
)
def test_what_cannot_be_fetched_is_one_sentence(
    hub: Hub,
    commands: Commands,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    settings: dict[str, str],
    status: tuple[int, str] | None,
    code: int,
    told: str,
):
    hub.status = status
    for name, value in {**commands.environ, **settings}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(commands.home)
    assert main.run(["model", "fetch"]) == code
    said = capsys.readouterr()
    last = said.err.strip().splitlines()[-1]
    assert said.out == ""
    assert last.startswith("literesearcher: ")
    assert told in last
    assert "Traceback" not in said.err
    assert not commands.folder.exists()


def test_a_wrong_checksum_leaves_nothing_that_could_be_used(hub: Hub, commands: Commands):
    code, _, errors = commands.run("fetch", LITERESEARCHER_SGLANG__MODEL_SHA256="0" * 64)
    assert code == 2
    assert "MODEL_SHA256" in errors.splitlines()[-1]
    assert [path.name for path in commands.folder.parent.iterdir()] == [f"{commands.folder.name}.lock"]


def test_bytes_that_are_not_the_hubs_own_are_found_without_a_sum_of_the_operators(hub: Hub, commands: Commands):
    hub.said[SHARDS[1]] = hub.files[SHARDS[1]][:-1] + b"!"
    code, _, errors = commands.run("fetch")
    assert code == 2
    assert f"{SHARDS[1]} did not come as the Hub has it" in errors.splitlines()[-1]
    assert not commands.folder.exists()
    hub.said.clear()
    assert commands.run("fetch")[0] == 0


def test_a_disk_without_room_is_told_before_and_in_the_middle(hub: Hub, commands: Commands):
    hub.told_sizes[SHARDS[0]] = 10**15
    code, _, errors = commands.run("fetch")
    assert code == 1
    assert "has no room for the 1000000.0 GB that are missing" in errors.splitlines()[-1]
    hub.told_sizes.clear()

    def little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2 * 1024 * 1024, 2 * 1024 * 1024))

    code, _, errors = commands.run("fetch", prepare=little_room)
    assert code == 1
    assert "has no room for the rest of the download" in errors.splitlines()[-1]
    assert not commands.folder.exists()
    assert commands.run("fetch")[0] == 0


def test_a_repository_without_weights_is_no_checkpoint(hub: Hub, commands: Commands):
    for name in (*SHARDS, "model.safetensors.index.json"):
        del hub.files[name]
    code, _, errors = commands.run("fetch")
    assert code == 2
    assert "holds no weights" in errors.splitlines()[-1]
    assert not commands.folder.exists()


def test_names_that_lead_out_of_the_folder_are_no_files_of_a_checkpoint(hub: Hub, commands: Commands):
    outside = commands.home / "outside.json"
    names = (
        "../outside.json",
        "../../../outside.json",
        str(outside),
        "..\\outside.json",
        ".hidden.json",
        "a/b.json",
        "a\x00b.json",
        "a\n.json",
    )
    hub.files |= dict.fromkeys(names, b"{}")
    code, _, errors = commands.run("fetch")
    assert code == 0, errors
    kept = {path.name for path in commands.folder.iterdir()}
    assert kept == {*SHARDS, "config.json", "tokenizer.json", "model.safetensors.index.json", RECORD}
    assert {hub.sent[name] for name in names} == {0}
    assert list(commands.home.rglob("*outside.json")) == []


@pytest.mark.parametrize("commit", ["../../../outside", "", None, "c0ffee\n" * 4, "/outside/of/all"])
def test_a_commit_that_is_none_names_no_folder(hub: Hub, commands: Commands, commit: str | None):
    hub.commit = commit
    code, _, errors = commands.run("fetch")
    assert code == 1
    assert "the Hub names no commit of some-lab/Tiny-1B at main" in errors.splitlines()[-1]
    assert hub.requests == []
    assert [path.name for path in commands.folder.parent.iterdir()] == [f"{commands.folder.name}.lock"]


def test_the_token_goes_to_the_hub_alone_and_into_no_log(hub: Hub, commands: Commands):
    with serving(hub.files) as other:
        hub.elsewhere = other
        code, out, errors = commands.run("fetch", HF_TOKEN="hf_secret")
    assert code == 0, errors
    assert hub.tokens == {"Bearer hf_secret"}
    assert other.tokens == {None}
    assert other.requests
    assert "hf_secret" not in out + errors


def test_a_name_that_is_taken_by_a_file_is_one_sentence(hub: Hub, commands: Commands):
    commands.folder.parent.mkdir(parents=True)
    commands.folder.write_text("no folder")
    code, _, errors = commands.run("fetch")
    assert code == 1
    assert f"cannot be named {commands.folder}" in errors.splitlines()[-1]
    blocked = str(commands.folder / "models")
    code, _, errors = commands.run("fetch", LITERESEARCHER_SGLANG__MODEL_PATH=f"{blocked}/4b")
    assert code == 2
    assert f"{blocked} cannot be made" in errors.splitlines()[-1]


def test_a_folder_of_another_model_is_not_taken_for_the_wanted_one(hub: Hub, commands: Commands):
    place = str(commands.home / "weights")
    assert commands.run("fetch", LITERESEARCHER_SGLANG__MODEL_PATH=place)[0] == 0
    given = {"LITERESEARCHER_SGLANG__MODEL_PATH": place, "LITERESEARCHER_SGLANG__MODEL_REVISION": COMMIT}
    code, _, errors = commands.run("fetch", **given)
    assert code == 2
    assert f"holds {MODEL}, and {MODEL} at {COMMIT} is wanted" in errors.splitlines()[-1]


def test_the_model_of_transformers_is_fetched_by_its_own_setting(hub: Hub, commands: Commands):
    given = {
        "LITERESEARCHER_ENGINE__KIND": "transformers",
        "LITERESEARCHER_ENGINE__MODEL": f"{MODEL}@{COMMIT}",
        "HF_TOKEN": "hf_secret",
    }
    code, out, errors = commands.run("fetch", **given)
    assert code == 0, errors
    assert f"{commands.folder}@{COMMIT}" in out
    assert "hf_secret" not in out + errors
    assert "Bearer hf_secret" in hub.tokens


async def test_giving_a_download_up_ends_it_at_once(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    hub.pause_after = 1024
    weights = Weights(tmp_path / "weights", Source(MODEL), sha256=None, clock=SystemClock())
    phases = StartPhases(SystemClock())
    going = asyncio.create_task(weights.ensure(phases))
    assert await asyncio.to_thread(hub.paused.wait, 120)
    children = children_of(os.getpid())
    going.cancel()
    with pytest.raises(asyncio.CancelledError):
        await going
    assert phases.ended == []
    assert children
    assert not any(Path(f"/proc/{child}").exists() for child in children)
    assert not weights.present


async def test_the_log_says_how_far_it_is_every_few_seconds(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    hub.files = checkpoint(24 * 1024 * 1024)
    hub.pause_after = 12 * 1024 * 1024
    clock = ManualClock()
    weights = Weights(tmp_path / "weights", Source(MODEL), sha256=None, clock=clock)
    going = asyncio.create_task(weights.ensure(StartPhases(clock)))
    partial = tmp_path / f"weights.{COMMIT[:12]}.partial"
    async with asyncio.timeout(120):
        # Ten megabytes of each shard: the client writes so much at a time.
        while sum(_size(partial / name) for name in SHARDS) < 20 * 1024 * 1024:
            await asyncio.sleep(0.05)
    for _ in range(2):
        await clock.advance(TOLD_SECONDS)
    hub.go_on.set()
    await going
    told = [record.getMessage() for record in caplog.records]
    assert told[0].startswith(f"downloading {MODEL} (50.33 MB) into {tmp_path / 'weights'}")
    assert told[1:3] == [
        f"downloading {MODEL}: 20.97 MB of 50.33 MB (42%), 4.19 MB/s",
        f"downloading {MODEL}: 20.97 MB of 50.33 MB (42%), 0.00 MB/s",
    ]


async def test_the_phases_of_a_fetch_are_told_when_they_have_ended(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    told: list[str] = []
    sum_of = whole_sum(_sums(hub, tmp_path))
    weights = Weights(tmp_path / "weights", Source(MODEL), sha256=sum_of, clock=SystemClock())
    phases = StartPhases(SystemClock(), lambda phase, seconds: told.append(phase))
    await weights.ensure(phases)
    assert told == ["download"]
    phases.begin()
    await weights.ensure(phases)
    assert told == ["download", "checksum"]
    assert [name for name, seconds in phases.ended if seconds >= 0] == ["checksum"]
    bad = Weights(tmp_path / "weights", None, sha256="0" * 64, clock=SystemClock())
    with pytest.raises(ConfigurationError, match="MODEL_SHA256"):
        await bad.ensure(phases)
    assert told == ["download", "checksum"]


def _sums(hub: Hub, folder: Path) -> dict[str, str]:
    place = folder / "same"
    place.mkdir()
    for name, content in hub.files.items():
        if "/" not in name:
            (place / name).write_bytes(content)
    return file_sums(place)
