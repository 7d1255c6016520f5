"""The platform over real SGLang on a local Ray Serve: the three applications as `cluster up` configures them, with one
difference: an engine replica's requests may have a script. Loaded by the test process, and by Ray's for the builder.

A script is a file named by the question and the turn, so that whichever replica gets the turn says the same.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cpu_kit.scripted import FLAG, ScriptedSglang
from cpu_kit.tiny_model import END
from literesearcher.cli.local_corpus import prepare_corpus
from literesearcher.cli.wiring_cluster import replica_settings
from literesearcher.cluster import local_ray
from literesearcher.cluster.configuration import DEPLOYMENTS, ENGINE, serve_configuration
from literesearcher.cluster.serving import Replica, ServeOperator
from literesearcher.engine.port import GenerationRequest
from literesearcher.engine.token_history import TokenHistory
from literesearcher.engine.tokenizer import Tokenizer
from literesearcher.settings.load import load_settings
from literesearcher.timing.clock import SystemClock
from process_tree import descendants

if TYPE_CHECKING:
    from literesearcher.cluster.serve_engine import ServeEngine

PATIENCE = 300.0
"""Two SGLangs that start at once, on a machine that does other things too."""


def engine(args: Mapping[str, Any]) -> Any:
    """The application `engine`, in the place of the product's builder; without an HTTP face."""
    from literesearcher.cluster.applications import engine_application

    given = dict(args["settings"])
    return engine_application(partial(make_scripted, given, args["scripts"]))


def make_scripted(given: Mapping[str, str], scripts: str) -> ScriptedSglang:
    """The runtime of a replica."""
    made = ScriptedSglang(replica_settings(given).sglang, extra=[FLAG])

    def script(request: GenerationRequest) -> list[int] | None:
        question = request.messages[1].content if len(request.messages) > 1 else ""
        file = Path(scripts) / script_name(question, request.turn)
        ids: list[int] | None = json.loads(file.read_text()) if file.exists() else None
        return ids

    made.script = script
    return made


def script_name(question: str, turn: int) -> str:
    """Of the file that holds what is said at that turn."""
    return f"{hashlib.sha256(question.encode()).hexdigest()[:16]}-{turn}.json"


def schedulers(replica: int) -> list[int]:
    """Of a replica's SGLang."""
    return [pid for pid in descendants(replica) if b"scheduler" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def until(look: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """What `look` gives as soon as it is true."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.2)
    return found


class Served:
    """The running platform, but for the gateway."""

    def __init__(self, operator: ServeOperator, folder: Path, settings: Mapping[str, str], tokenizer: Path) -> None:
        self.operator = operator
        self.folder = folder
        self.settings = dict(settings)
        """For the gateway, which shares the folder's `data`."""
        self.history = TokenHistory(Tokenizer.from_file(tokenizer / "tokenizer.json"), opens_thought=True)

    @property
    def engine(self) -> ServeEngine:
        """The pool of replicas, from this process."""
        from literesearcher.cluster.applications import handle_of
        from literesearcher.cluster.serve_engine import ServeEngine

        return ServeEngine(handle_of(ENGINE))

    def replicas(self) -> list[Replica]:
        """Engine replicas in service."""
        (found,) = [one for one in self.operator.running() if one.name == ENGINE]
        return [one for one in found.replicas if one.state == "RUNNING"]

    def replica(self, unique: str) -> Replica:
        """The one that turns name so."""
        (found,) = [one for one in self.replicas() if one.name.endswith(unique)]
        return found

    def script(self, question: str, turns: Sequence[str]) -> list[list[int]]:
        """What is said to the question, as generated behind `<think>\\n`; the ids of each turn, its end too."""
        said = [[*self.history._written(text), END] for text in turns]
        for number, ids in enumerate(said, start=1):
            (self.folder / "scripts" / script_name(question, number)).write_text(json.dumps(ids))
        return said

    def settle(self) -> None:
        """Wait until every application has all that it wants."""

        def all_run() -> bool:
            found = self.operator.running()
            failed = [one for one in found if one.state == "DEPLOY_FAILED"]
            assert not failed, failed
            return len(found) == len(DEPLOYMENTS) and all(one.healthy for one in found)

        until(all_run, "all to run")


@contextmanager
def own_ray(folder: Path, environ: Mapping[str, str]) -> Iterator[ServeOperator]:
    """A Ray of this folder's own whose processes have that environment, with this process as a driver; ended after."""
    from joined_ray import joined

    note = folder / "ray.json"
    ray = asyncio.run(local_ray.start(note, environ, cpus=16, gpus=None, clock=SystemClock()))
    try:
        with joined(ray) as operator:
            yield operator
    finally:
        local_ray.end(note, ray)


def settings_of(folder: Path, model: Path, redis: str) -> dict[str, str]:
    """Two replicas of the model, over the embedded corpus."""
    with socket.socket() as free:
        free.bind((local_ray.HOST, 0))
        port = free.getsockname()[1]
    return {
        "LITERESEARCHER_DATA_DIR": str(folder / "data"),
        "LITERESEARCHER_REDIS__URL": redis,
        "LITERESEARCHER_ENGINE__KIND": "sglang",
        # Another replica is there at once; SGLang anew takes half a minute and more.
        "LITERESEARCHER_ENGINE__TRIES": "20",
        "LITERESEARCHER_EXTRACTOR__KIND": "extractive",
        "LITERESEARCHER_SGLANG__MODEL_PATH": str(model),
        "LITERESEARCHER_SGLANG__DEVICE": "cpu",
        "LITERESEARCHER_SGLANG__WEIGHTS": "fp32",
        "LITERESEARCHER_SGLANG__CONTEXT_LENGTH": "16384",
        "LITERESEARCHER_SGLANG__KV_TOKENS": "32768",
        "LITERESEARCHER_SGLANG__MAX_RUNNING": "8",
        "LITERESEARCHER_SGLANG__STREAM_TOKENS": "1",
        "LITERESEARCHER_SGLANG__HEALTH_SECONDS": "120",
        "LITERESEARCHER_CLUSTER__ENGINE_MIN_REPLICAS": "2",
        "LITERESEARCHER_CLUSTER__ENGINE_MAX_REPLICAS": "2",
        "LITERESEARCHER_CLUSTER__TOOLS_MAX_REPLICAS": "1",
        "LITERESEARCHER_CLUSTER__DRAIN_SECONDS": "20",
        # A turn that follows at once meets the last report of its own predecessor, which is dear on a CPU: no spills.
        "LITERESEARCHER_CLUSTER__ROUTING": '{"margin_seconds": 600}',
        "LITERESEARCHER_CLUSTER__HTTP_HOST": local_ray.HOST,
        "LITERESEARCHER_CLUSTER__HTTP_PORT": str(port),
        "LITERESEARCHER_ORCHESTRATOR__LEASE_SECONDS": "5",
        "LITERESEARCHER_ORCHESTRATOR__POLL_SECONDS": "0.2",
    }


@contextmanager
def served_on(operator: ServeOperator, folder: Path, model: Path, redis: str) -> Iterator[Served]:
    """The applications, ended afterwards."""
    (folder / "scripts").mkdir()
    given = settings_of(folder, model, redis)
    settings = load_settings(given, dotenv=None)
    prepare_corpus(settings)
    configuration = serve_configuration(settings)
    for application in configuration["applications"]:
        if application["name"] == ENGINE:
            application["import_path"] = "cpu_kit.served:engine"
            application["args"]["scripts"] = str(folder / "scripts")
    operator.apply(configuration)
    platform = Served(operator, folder, given, model)
    try:
        platform.settle()
        yield platform
    finally:
        operator.shut_down([one["name"] for one in configuration["applications"]])


def environment_of_replicas(redis: str) -> dict[str, str]:
    """This process's without settings but for the secret ones, and where Ray's processes find this module."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LITERESEARCHER_")}
    path = os.pathsep.join(filter(None, (str(Path(__file__).resolve().parents[1]), kept.get("PYTHONPATH"))))
    return kept | {"PYTHONPATH": path, "LITERESEARCHER_REDIS__URL": redis}
