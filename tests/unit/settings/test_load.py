"""What the environment and a `.env` file make of the settings, and what a wrong one is told."""

from pathlib import Path

import pytest

from literesearcher.errors import ConfigurationError
from literesearcher.settings.load import load_settings

HOME = {"HOME": "/home/ada"}


def refused(environ: dict[str, str], dotenv: Path | None = None) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(HOME | environ, dotenv=dotenv)
    assert "\n" not in caught.value.message
    return caught.value.message


def test_nothing_configured_is_the_embedded_default():
    settings = load_settings(HOME, dotenv=None)
    assert settings.engine_kind == "extractive"
    assert settings.search_providers == ["local"]
    assert settings.page_providers == ["local"]
    assert settings.data_dir == Path("/home/ada/.local/share/literesearcher")
    assert settings.store_url == "sqlite:////home/ada/.local/share/literesearcher/jobs.sqlite3"


def test_the_xdg_data_home_is_honoured_only_where_absolute():
    assert load_settings(HOME | {"XDG_DATA_HOME": "/xdg"}, dotenv=None).data_dir == Path("/xdg/literesearcher")
    relative = load_settings(HOME | {"XDG_DATA_HOME": "xdg"}, dotenv=None)
    assert relative.data_dir == Path("/home/ada/.local/share/literesearcher")


def test_fields_of_every_kind_are_read():
    settings = load_settings(
        HOME
        | {
            "LITERESEARCHER_DATA_DIR": "/srv/lr",
            "LITERESEARCHER_TOOLS__SEARCH": '["serper", "local"]',
            "LITERESEARCHER_SERPER__API_KEY": "k\n",
            "LITERESEARCHER_RESEARCH__MAX_CONCURRENT_JOBS": "300",
            "LITERESEARCHER_GATEWAY__ANONYMOUS": "true",
            "LITERESEARCHER_RESEARCH__TIMEOUT_SECONDS": "12.5",
            "LITERESEARCHER_RESEARCH__SYSTEM_PROMPT_FILE": "/etc/prompt.txt",
        },
        dotenv=None,
    )
    assert settings.data_dir == Path("/srv/lr")
    assert settings.search_providers == ["serper", "local"]
    assert settings.serper.api_key is not None
    assert settings.serper.api_key.get_secret_value() == "k"
    assert settings.research.max_concurrent_jobs == 300
    assert settings.gateway.anonymous is True
    assert settings.research.timeout_seconds == 12.5
    assert settings.research.system_prompt_file == Path("/etc/prompt.txt")


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("LITERESEARCHER_ENGINE_BASE_URL", "LITERESEARCHER_ENGINE__BASE_URL"),
        ("LITERESEARCHER_ENGINE__BASEURL", "LITERESEARCHER_ENGINE__BASE_URL"),
        ("LITERESEARCHER_STORE_URL", "LITERESEARCHER_STORE__URL"),
        ("LITERESEARCHER_SERPER__APIKEY", "LITERESEARCHER_SERPER__API_KEY"),
        ("LITERESEARCHER_DATADIR", "LITERESEARCHER_DATA_DIR"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_even_when_empty(name: str, near: str):
    for value in ("x", ""):
        message = refused({name: value})
        assert name in message
        assert near in message


def test_names_of_the_tests_and_of_others_are_let_be(tmp_path: Path):
    dotenv = tmp_path / ".env"
    dotenv.write_text("DATABASE_URL=x\nPORT=1\nLITERESEARCHER_TEST_DATA=/d\n")
    environ = HOME | {"LITERESEARCHER_TEST_DATA": "/d", "LITERESEARCHER_TEST_ANYTHING": "1", "LITERESEARCH": "1"}
    assert load_settings(environ, dotenv=dotenv) == load_settings(HOME, dotenv=None)


def test_an_unknown_name_in_a_dotenv_is_refused_and_the_file_named(tmp_path: Path):
    dotenv = tmp_path / "my.env"
    dotenv.write_text("LITERESEARCHER_ENGINE__URL=http://x/v1\n")
    message = refused({}, dotenv)
    assert "my.env" in message
    assert "LITERESEARCHER_ENGINE__" in message


def test_the_environment_wins_over_the_file_and_empty_means_unset(tmp_path: Path):
    dotenv = tmp_path / ".env"
    dotenv.write_text("LITERESEARCHER_GATEWAY__PORT=9001\nLITERESEARCHER_GATEWAY__HOST=::1\n")
    settings = load_settings(
        HOME | {"LITERESEARCHER_GATEWAY__PORT": "9002", "LITERESEARCHER_GATEWAY__HOST": ""}, dotenv=dotenv
    )
    assert settings.gateway.port == 9002
    assert settings.gateway.host == "::1"


def test_a_dollar_in_a_dotenv_value_stays_as_typed(tmp_path: Path):
    dotenv = tmp_path / ".env"
    dotenv.write_text("SERPER_KEY_ID='ab$HOME${HOME}'\n")
    key = load_settings(HOME, dotenv=dotenv).serper.api_key
    assert key is not None
    assert key.get_secret_value() == "ab$HOME${HOME}"


def test_published_names_are_accepted_and_own_names_win_even_from_the_file(tmp_path: Path):
    dotenv = tmp_path / ".env"
    dotenv.write_text("LITERESEARCHER_JINA__API_KEY=own\n")
    published = {
        "SERPER_KEY_ID": "s",
        "SCRAPEDO_API_KEY": "d",
        "JINA_API_KEY": "theirs",
        "SGLANG_API_BASE": "http://gpu:30000",
    }
    settings = load_settings(HOME | published, dotenv=dotenv)
    assert settings.engine_kind == "openai"
    assert settings.engine.base_url == "http://gpu:30000/v1"
    assert settings.search_providers == ["serper"]
    assert settings.page_providers == ["direct", "jina", "scrapedo"]
    assert settings.jina.api_key is not None
    assert settings.jina.api_key.get_secret_value() == "own"


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("http://gpu:30000", "http://gpu:30000/v1"),
        ("http://gpu:30000/", "http://gpu:30000/v1"),
        ("http://gpu:30000/v1/", "http://gpu:30000/v1"),
        ("https://host/proxy/v1", "https://host/proxy/v1"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
    ],
)
def test_an_engine_url_is_brought_to_its_form(given: str, read: str):
    assert load_settings(HOME | {"LITERESEARCHER_ENGINE__BASE_URL": given}, dotenv=None).engine.base_url == read


@pytest.mark.parametrize(
    "value",
    ["localhost:30000/v1", "gpu", "ftp://gpu/v1", "http://", "http://gpu/v1/chat/completions", "http://gpu:x/v1"],
)
def test_an_engine_url_that_cannot_be_meant_is_refused(value: str):
    assert "LITERESEARCHER_ENGINE__BASE_URL" in refused({"LITERESEARCHER_ENGINE__BASE_URL": value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LITERESEARCHER_GATEWAY__PORT", "seventy"),
        ("LITERESEARCHER_GATEWAY__PORT", "70000"),
        ("LITERESEARCHER_TOOLS__CACHE", "maybe"),
        ("LITERESEARCHER_TOOLS__SEARCH", "serper"),
        ("LITERESEARCHER_TOOLS__SEARCH", "[]"),
        ("LITERESEARCHER_TOOLS__SEARCH", '["altavista"]'),
        ("LITERESEARCHER_TOOLS__PAGES", '{"local": 1}'),
        ("LITERESEARCHER_RESEARCH__MAX_TURNS", "0"),
        ("LITERESEARCHER_RESEARCH__TIMEOUT_SECONDS", "nan"),
        ("LITERESEARCHER_ENGINE__CONTEXT_LENGTH", "12"),
        ("LITERESEARCHER_ENGINE__KIND", "llama"),
        ("LITERESEARCHER_GATEWAY__HOST", "a\udcffb"),
        ("LITERESEARCHER_SERPER__API_KEY", "a\x00b"),
    ],
)
def test_a_value_that_cannot_be_used_names_its_variable(name: str, value: str):
    assert name in refused({name: value})


def test_the_published_name_is_named_when_it_was_the_one_given():
    assert "SGLANG_API_BASE" in refused({"SGLANG_API_BASE": "gpu"})


def test_an_engine_that_there_is_not_says_which_there_are():
    message = refused({"LITERESEARCHER_ENGINE__KIND": "vllm"})
    assert "'extractive', 'openai', 'sglang' or 'transformers'" in message


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"LITERESEARCHER_ENGINE__KIND": "openai"}, "LITERESEARCHER_ENGINE__BASE_URL"),
        ({"LITERESEARCHER_ENGINE__KIND": "sglang"}, "LITERESEARCHER_SGLANG__MODEL_PATH"),
        ({"LITERESEARCHER_ENGINE__KIND": "transformers"}, "LITERESEARCHER_ENGINE__MODEL"),
        ({"LITERESEARCHER_EXTRACTOR__KIND": "transformers"}, "LITERESEARCHER_EXTRACTOR__MODEL"),
        ({"LITERESEARCHER_EXTRACTOR__KIND": "sglang"}, "LITERESEARCHER_EXTRACTOR__KIND"),
        ({"LITERESEARCHER_COMPRESSOR__KIND": "sglang"}, "histories are compressed by ENGINE's, at lower priority"),
        ({"LITERESEARCHER_COMPRESSOR__KIND": "openai"}, "LITERESEARCHER_COMPRESSOR__BASE_URL"),
        ({"LITERESEARCHER_TOOLS__SEARCH": '["serper"]'}, "LITERESEARCHER_SERPER__API_KEY"),
        ({"LITERESEARCHER_TOOLS__PAGES": '["scrapedo"]'}, "LITERESEARCHER_SCRAPEDO__API_KEY"),
    ],
)
def test_what_lacks_its_other_half_names_it(environ: dict[str, str], named: str):
    assert named in refused(environ)


def test_no_message_holds_a_secret(tmp_path: Path):
    secret = "hunter2\x01"
    for name in ("LITERESEARCHER_SERPER__API_KEY", "LITERESEARCHER_REDIS__URL", "LITERESEARCHER_ENGINE__BASE_URL"):
        assert "hunter2" not in refused({name: secret})
    dotenv = tmp_path / ".env"
    dotenv.write_bytes(b"SERPER_KEY_ID=hunter2\xff\xfe\n")
    message = refused({}, dotenv)
    assert "hunter2" not in message
    assert "UTF-8" in message


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("LITERESEARCHER_ENGINE__BASE_URL\n", 1),
        ("literesearcher_engine__base_url # later\n", 1),
        ('A=1\n\nLITERESEARCHER_GATEWAY__PORT="81\n', 3),
        ("A=1\r\n\r\nexport LITERESEARCHER_ENGINE__MODEL\r\n", 3),
        ("A=1\n# note\nnot an assignment\nB=2\n", 3),
        # The open quote swallows the setting below it.
        ('A="x\nLITERESEARCHER_GATEWAY__PORT=81\nB="y"\n', 1),
        ("B='y\nLITERESEARCHER_GATEWAY__PORT=81\n", 1),
        ("LITERESEARCHER_GATEWAY__PORT='81'0\n", 1),
        ("=hunter2\n", 1),
    ],
)
def test_a_dotenv_line_that_would_be_lost_is_named(tmp_path: Path, text: str, line: int):
    (tmp_path / ".env").write_bytes(text.encode())
    message = refused({}, tmp_path / ".env")
    assert f"{tmp_path / '.env'} line {line} " in message
    assert "hunter2" not in message


def test_other_lines_of_a_dotenv_are_let_be(tmp_path: Path):
    (tmp_path / ".env").write_text(
        "\ufeff# LITERESEARCHER_NOTHING=1\nEMPTY\nexport PATH\nK='a\nb'\nLITERESEARCHER_ENGINE__MODEL=m # why\n"
    )
    assert load_settings({}, dotenv=tmp_path / ".env").engine.model == "m"
    assert load_settings({}, dotenv=tmp_path / "none").engine.model is None


def test_a_byte_order_mark_hides_no_setting(tmp_path: Path):
    (tmp_path / ".env").write_text("\ufeffLITERESEARCHER_ENGINE__MODEL=m\n")
    assert load_settings({}, dotenv=tmp_path / ".env").engine.model == "m"


@pytest.mark.parametrize(
    "content",
    ["SERPER_KEY_ID=hunter2\n".encode("utf-16"), "SERPER_KEY_ID=hunter2\n".encode("utf-16-le"), b"A=hunter2\0\n"],
)
def test_a_dotenv_that_is_no_utf_8_text_is_refused(tmp_path: Path, content: bytes):
    (tmp_path / ".env").write_bytes(content)
    message = refused({}, tmp_path / ".env")
    assert ".env is not UTF-8 text" in message
    assert "hunter2" not in message


def test_a_folder_called_dotenv_is_a_virtual_environment_and_let_be(tmp_path: Path):
    (tmp_path / ".env").mkdir()
    assert load_settings({}, dotenv=tmp_path / ".env").engine.model is None


@pytest.mark.parametrize(
    ("name", "key"),
    [
        *[
            (f"LITERESEARCHER_{section}__BASE_URL", f"LITERESEARCHER_{section}__API_KEY")
            for section in ("ENGINE", "EXTRACTOR", "SERPER", "JINA", "SCRAPEDO")
        ],
        ("SGLANG_API_BASE", "LITERESEARCHER_ENGINE__API_KEY"),
    ],
)
@pytest.mark.parametrize("user", ["svc:hunter2pw@", "hunter2pw@", ":hunter2pw@", "svc:80/hunter2pw@", "@"])
def test_a_base_url_holds_no_password(name: str, key: str, user: str):
    message = refused({name: f"http://{user}host/v1"})
    assert name in message
    assert key in message
    assert "hunter2pw" not in message


@pytest.mark.parametrize("name", ["literesearcher_engine__model", "LiteResearcher_Engine__Model"])
def test_a_name_in_other_letters_is_refused_with_the_right_one(name: str, tmp_path: Path):
    assert "the nearest name is LITERESEARCHER_ENGINE__MODEL" in refused({name: "m"})
    (tmp_path / ".env").write_text(f"{name}=m\n")
    assert "the nearest name is LITERESEARCHER_ENGINE__MODEL" in refused({}, tmp_path / ".env")


@pytest.mark.parametrize(
    "name", ["literesearcher_foo", "LITERESEARCHER_", "LITERESEARCHER_PORT", "LITERESEARCHER_A__B"]
)
def test_a_name_that_is_like_no_other_is_pointed_at_the_reference(name: str):
    message = refused({name: "1"})
    assert name in message
    assert "docs/reference/settings.md" in message
    assert "the nearest name is LITERESEARCHER_" in message


def test_a_field_that_its_section_lacks_is_told_those_there_are():
    message = refused({"LITERESEARCHER_STORE__PASSWORD": "hunter2"})
    assert message.endswith("LITERESEARCHER_STORE__ goes on with one of URL")
    message = refused({"LITERESEARCHER_ENGINE__HOST": "gpu"})
    assert "the nearest name is LITERESEARCHER_ENGINE__" in message
    assert "BASE_URL" in message
    assert "GATEWAY" not in message
