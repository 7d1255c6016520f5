"""Which engine a section of the settings means, and what is wrong with the section."""

from __future__ import annotations

from pathlib import Path

import pytest

from literesearcher.cli import checks
from literesearcher.cli.wiring_engine import main_engine, make_engine, sglang_weights, transformers_weights
from literesearcher.errors import ConfigurationError
from literesearcher.settings.cluster_sections import SglangSection
from literesearcher.settings.model import Settings
from literesearcher.settings.sections import EngineSection, ResearchSection
from literesearcher.timing.clock import SystemClock


@pytest.mark.parametrize("base_url", [None, "http://127.0.0.1:9/v1"])
@pytest.mark.parametrize("content", [None, "{}", "no json"])
def test_a_tokenizer_file_that_cannot_be_read_is_an_error_for_every_kind_of_engine(
    tmp_path: Path, base_url: str | None, content: str | None
):
    file = tmp_path / "tokenizer.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigurationError, match=r"tokenizer\.json"):
        make_engine(EngineSection(base_url=base_url, tokenizer_file=file), SystemClock())


def test_an_engine_whose_libraries_are_missing_says_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"pip install 'literesearcher\[transformers\]'"):
        make_engine(EngineSection(kind="transformers", model=str(tmp_path)), SystemClock())


@pytest.mark.parametrize(
    ("section", "folder", "source"),
    [
        ({"model_path": "/m/4b"}, "/m/4b", None),
        ({"model_id": "lab/Model-4B"}, "/data/models/lab--Model-4B", "lab/Model-4B"),
        (
            {"model_id": "lab/Model-4B", "model_revision": "refs/pr/1"},
            "/data/models/lab--Model-4B@refs--pr--1",
            "lab/Model-4B at refs/pr/1",
        ),
        ({"model_id": "lab/Model-4B", "model_path": "/shared/4b"}, "/shared/4b", "lab/Model-4B"),
    ],
)
def test_where_sglangs_checkpoint_lies(section: dict[str, str], folder: str, source: str | None):
    settings = Settings(data_dir=Path("/data"), sglang=SglangSection.model_validate(section))
    weights = sglang_weights(settings, SystemClock())
    assert weights.folder == Path(folder)
    assert (str(weights.source) if weights.source else None) == source


@pytest.mark.parametrize(
    ("model", "folder", "source"),
    [
        ("lab/Model-4B", "lab--Model-4B", "lab/Model-4B"),
        ("lab/Model-4B@v1", "lab--Model-4B@v1", "lab/Model-4B at v1"),
        ("/m/4b", None, None),
        ("../4b", None, None),
        ("a/b/c", None, None),
        ("4b", None, None),
    ],
)
def test_which_models_of_transformers_are_of_the_hub(
    tmp_path: Path, model: str, folder: str | None, source: str | None
):
    weights = transformers_weights(EngineSection(kind="transformers", model=model), tmp_path, SystemClock())
    assert weights.folder == (tmp_path / folder if folder else Path(model))
    assert (str(weights.source) if weights.source else None) == source


def test_a_folder_is_not_taken_for_a_name_on_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "lab" / "Model-4B").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    weights = transformers_weights(EngineSection(kind="transformers", model="lab/Model-4B"), tmp_path, SystemClock())
    assert weights.source is None


def test_a_model_of_the_hub_that_is_not_here_says_the_command(tmp_path: Path):
    section = EngineSection(kind="transformers", model="lab/Model-4B")
    with pytest.raises(ConfigurationError, match="not downloaded yet: literesearcher model fetch"):
        make_engine(section, SystemClock(), models=tmp_path)


async def test_the_doctor_downloads_nothing(tmp_path: Path):
    settings = Settings(
        data_dir=tmp_path, engine=EngineSection(kind="sglang"), sglang=SglangSection(model_id="lab/Model-4B")
    )
    async for finding in checks.checks(settings):
        if finding.subject == "engine":
            break
    assert (finding.subject, finding.state) == ("engine", "missing")
    assert "lab/Model-4B is not in" in finding.told
    assert "literesearcher model fetch" in str(finding.way_out)
    assert not (tmp_path / "models").exists()


def test_a_prompt_file_that_a_node_has_not_got_costs_it_the_warm_up_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    made: list[dict[str, object]] = []
    monkeypatch.setattr(
        "literesearcher.engine.sglang.engine.SglangEngine", lambda section, **given: made.append(given) or object()
    )
    for prompt in (None, tmp_path / "none.txt"):
        settings = Settings(
            data_dir=tmp_path,
            engine=EngineSection(kind="sglang"),
            sglang=SglangSection(model_id="lab/Model-4B"),
            research=ResearchSection(system_prompt_file=prompt),
        )
        main_engine(settings, SystemClock())
    warmed, plain = (given["warm_up"] for given in made)
    assert isinstance(warmed, tuple)
    assert warmed[0].content.rstrip().endswith(SystemClock().now().date().isoformat())
    assert plain == ()
    assert "no warm-up" in caplog.text
