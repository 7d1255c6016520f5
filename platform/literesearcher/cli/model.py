"""`literesearcher model`: the checkpoint that the engine in force needs, fetched and checked before anything starts.

Owns: arguments, which folder is meant, what is printed. Refuses to know: the Hub, checksums (`engine.weights`).
For init containers and image builds: one line and exit code 2 for what settings must mend, 1 for what may pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from literesearcher.errors import ConfigurationError

if TYPE_CHECKING:
    from literesearcher.engine.weights import Weights
    from literesearcher.settings.model import Settings


@click.group("model")
def command() -> None:
    """The checkpoint of ENGINE__KIND=sglang or transformers: fetch, check."""


@command.command("fetch")
def fetch() -> int:
    """Download the model that the settings name, where it is not there; then check it. Run it again to go on.

    Of several at once, on one machine or a shared volume, one downloads and the others wait.
    """
    from literesearcher.cli.session import run_async
    from literesearcher.engine.start_phases import StartPhases
    from literesearcher.timing.clock import SystemClock

    for weights in _prepared():
        if weights.source is None and not weights.present:
            raise ConfigurationError(
                f"{weights.setting}={weights.folder} is no folder, and no model of the Hub is named to fetch into it: "
                "set LITERESEARCHER_SGLANG__MODEL_ID"
            )
        run_async(weights.ensure(StartPhases(SystemClock())))
        _show(weights)
    return 0


@command.command("check")
def check() -> int:
    """Read the whole checkpoint: shape, shards, checksum. Prints the checksum to pin; downloads nothing."""
    from literesearcher.cli.session import run_async
    from literesearcher.engine.checkpoint import read_checkpoint

    for weights in _prepared():
        if weights.source is not None and not weights.present:
            raise ConfigurationError(f"{weights.folder} is not there yet: `literesearcher model fetch` downloads it")
        read_checkpoint(weights.folder, setting=weights.setting)
        sums = run_async(weights.checked())
        _show(weights)
        click.echo(f"sha256    {sums}")
    return 0


def _prepared() -> list[Weights]:
    import logging

    from literesearcher.cli.session import log_to_stderr, read_settings

    settings = read_settings()
    log_to_stderr(logging.INFO)
    return _wanted(settings)


def _wanted(settings: Settings) -> list[Weights]:
    """Of the engine, and of an extractor with a checkpoint of its own."""
    from literesearcher.cli.wiring_engine import sglang_weights, transformers_weights
    from literesearcher.timing.clock import SystemClock

    clock, wanted = SystemClock(), []
    # Init containers hold no engine, so its kind need not be named to them.
    if settings.engine_kind == "sglang" or (settings.engine.kind is None and settings.model_folder is not None):
        wanted.append(sglang_weights(settings, clock))
    for section in (settings.engine, settings.extractor):
        if section.kind == "transformers":
            wanted.append(transformers_weights(section, settings.models_dir, clock))
    if not wanted:
        raise ConfigurationError(
            "no checkpoint is wanted: name one with LITERESEARCHER_SGLANG__MODEL_PATH or "
            "LITERESEARCHER_SGLANG__MODEL_ID"
        )
    return list({weights.folder: weights for weights in wanted}.values())


def _show(weights: Weights) -> None:
    from literesearcher.engine.checkpoint import read_checkpoint

    folder = weights.folder
    found = read_checkpoint(folder, setting=weights.setting)
    size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    click.echo(f"folder    {folder}")
    click.echo(f"weights   {size:,} bytes")
    click.echo(f"model     {found.heads} heads, {found.vocabulary:,} ids, {found.context_length:,} tokens of context")
