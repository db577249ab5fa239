"""Settings from a file, the environment and flags: what wins, what is refused, and how it is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from setwise_engine.errors import InvalidInput
from setwise_server.settings import Offer, ServerSettings, load


@pytest.fixture
def file(tmp_path: Path):
    """A file of settings with this text."""

    def file(text: str) -> Path:
        path = tmp_path / "setwise.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return file


def test_nothing_said_is_the_defaults() -> None:
    loaded = load()
    assert loaded.settings == ServerSettings()
    assert set(loaded.origins.values()) == {"default"}


def test_a_flag_wins_over_a_variable_and_that_over_the_file(file) -> None:
    path = file("port = 1\ngrace = 1\n[limits]\nmax_k = 1\nmax_batch = 1")
    environment = {"SETWISE_PORT": "2", "SETWISE_LIMITS_MAX_K": "2"}
    loaded = load(path, environment, {"port": 3})
    settings, origins = loaded.settings, loaded.origins
    assert (settings.port, origins["port"]) == (3, "flag --port")
    assert (settings.limits.max_k, origins["limits.max_k"]) == (2, "environment SETWISE_LIMITS_MAX_K")
    assert (settings.limits.max_batch, origins["limits.max_batch"]) == (1, f"file {path}")
    assert (settings.grace, settings.max_queue) == (1.0, ServerSettings().max_queue)


def test_the_file_may_be_named_by_a_variable_and_another_by_a_flag(file, tmp_path: Path) -> None:
    environment = {"SETWISE_CONFIG": str(file("port = 1"))}
    assert load(None, environment).settings.port == 1
    other = tmp_path / "other.toml"
    other.write_text("port = 2")
    assert load(other, environment).settings.port == 2


def test_paths_in_a_file_are_taken_from_its_folder(file, tmp_path: Path) -> None:
    path = file('root = "all"\n[weights]\n"timm:a" = "a.pth"\n[security]\nkeys = "/run/keys.toml"')
    settings = load(path).settings
    assert settings.root == tmp_path / "all"
    assert settings.weights == (("timm:a", str(tmp_path / "a.pth")),)
    assert settings.security.keys == Path("/run/keys.toml")


def test_lists_in_a_variable_stand_between_commas() -> None:
    settings = load(None, {"SETWISE_MODELS": "a@64,b", "SETWISE_WEIGHTS": "a=/x,b=/y=z"}).settings
    assert settings.models == (Offer("a", 64), Offer("b"))
    assert settings.weights == (("a", "/x"), ("b", "/y=z"))


@pytest.mark.parametrize(("text", "value"), [("true", True), ("1", True), ("ON", True), ("no", False), ("0", False)])
def test_a_switch_has_the_usual_words(text: str, value: bool) -> None:
    assert load(None, {"SETWISE_READ_ONLY": text}).settings.read_only is value


def test_what_may_be_absent_has_a_word_for_it(file) -> None:
    path = file('threads = "auto"\n[observe]\nslow_ms = "none"\n[security]\nanonymous = "none"')
    settings = load(path).settings
    assert (settings.threads, settings.observe.slow_ms) == (None, None)
    assert settings.security.anonymous == "none"  # a policy: nobody
    assert load(path, {"SETWISE_SECURITY_ANONYMOUS": "auto"}).settings.security.anonymous is None


def test_an_empty_variable_says_nothing() -> None:
    assert load(None, {"SETWISE_PORT": "", "SETWISE_CONFIG": ""}).settings == ServerSettings()


def test_variables_of_the_client_and_of_the_kernel_are_left_alone() -> None:
    others = {"SETWISE_API_KEY": "secret", "SETWISE_KERNEL": "native", "PATH": "/bin", "SETWISEST": "1"}
    assert load(None, others).settings == ServerSettings()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prot = 1", 'there is no setting "prot"; did you mean port?'),
        ("max_k = 1", 'there is no setting "max_k"; did you mean limits.max_k?'),
        ("[limits]\nport = 1", 'there is no setting "limits.port"; did you mean port?'),
        ("[security]\nkyes = 'k'", 'there is no setting "security.kyes"; did you mean security.keys?'),
        ("[obverse]\nslow_ms = 1", 'there is no section "obverse"; did you mean observe?'),
        ("[limit]\nmax_k = 1", 'there is no section "limit"; did you mean limits?'),
        ("[zzzz]", 'there is no section "zzzz"; there are limits, security, observe'),
        ("zzzz = 1", 'there is no setting "zzzz"; `setwise serve --print-config` lists all'),
        ('"limits.max_k" = 1', "there is no setting"),
        ("limits = 1", "limits must be a table: write [limits] above its settings"),
        ("port = 65536", "port is 65536; it must be a whole number of at least 0 and at most 65535"),
        ('port = "1"', 'port is "1"; it must be a whole number'),
        ("port = true", "port is True; it must be a whole number"),
        ("port = 1.0", "port is 1.0; it must be a whole number"),
        ("[port]", "port is {}; it must be a whole number"),
        ("threads = 0", 'threads is 0; it must be a whole number of at least 1, or "auto"'),
        ("grace = nan", "grace is nan; it must be a number of at least 0"),
        ("read_only = 1", "read_only is 1; it must be true or false"),
        ("models = []", "models is []; it must be a list of NAME or NAME@PX"),
        ('models = ["a@0"]', "it must be a list of NAME or NAME@PX with a positive number of pixels"),
        ('root = ""', 'root is ""; it must be a path, or "none"'),
        ('[observe]\nlog_format = "xml"', 'observe.log_format is "xml"; it must be one of "text", "json"'),
        ("port = 0x" + "f" * 5000, "port is too large; it must be a whole number"),
        ("port = " + "9" * 5000, "is not TOML"),
        ("port = 1\nport = 2", "is not TOML"),
        ("a = " + "[" * 5000, "is not TOML"),
    ],
)
def test_what_a_file_may_not_say_is_named_with_the_file(file, text: str, said: str) -> None:
    path = file(text)
    with pytest.raises(InvalidInput) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("SETWISE_PROT", "1", "SETWISE_PROT is no setting; did you mean SETWISE_PORT?"),
        ("SETWISE_MAX_K", "1", "SETWISE_MAX_K is no setting; did you mean SETWISE_LIMITS_MAX_K?"),
        ("SETWISE_PORT", "many", 'SETWISE_PORT is "many"; it must be a whole number of at least 0 and at most 65535'),
        ("SETWISE_PORT", "-1", 'SETWISE_PORT is "-1"; it must be a whole number'),
        ("SETWISE_GRACE", "1e999", 'SETWISE_GRACE is "1e999"; it must be a number of at least 0'),
        ("SETWISE_READ_ONLY", "maybe", 'SETWISE_READ_ONLY is "maybe"; it must be true or false'),
        ("SETWISE_WEIGHTS", "a", 'SETWISE_WEIGHTS is "a"; it must be a list of MODEL=FILE'),
        ("SETWISE_DEVICE", "x" * 100, ""),
        ("SETWISE_PORT", "tcp://10.0.0.1:50051", "enableServiceLinks: false"),
        ("SETWISE_PORT_50051_TCP_ADDR", "10.0.0.1", "enableServiceLinks: false"),
        ("SETWISE_GRPC_SERVICE_HOST", "10.0.0.1", "enableServiceLinks: false"),
    ],
)
def test_what_a_variable_may_not_say_is_named_with_the_variable(name: str, text: str, said: str) -> None:
    if not said:
        assert load(None, {name: text}).settings.device == text
        return
    with pytest.raises(InvalidInput) as caught:
        load(None, {name: text})
    assert said in str(caught.value)
    assert caught.value.field == name


def test_a_variable_that_is_no_setting_may_hold_a_secret_which_is_not_repeated() -> None:
    with pytest.raises(InvalidInput) as caught:
        load(None, {"SETWISE_APIKEY": "s3cr3t"})
    assert "s3cr3t" not in str(caught.value)


def test_a_flag_out_of_range_is_named_by_the_flag() -> None:
    with pytest.raises(InvalidInput, match=r"--max-k is 0; it must be a whole number of at least 1"):
        load(None, {}, {"limits.max_k": 0})


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"gone\.toml: the settings cannot be read"):
        load(tmp_path / "gone.toml")
    (tmp_path / "latin.toml").write_bytes(b'host = "\xff"')
    with pytest.raises(InvalidInput, match=r"latin\.toml is not TOML"):
        load(tmp_path / "latin.toml")


WORDS = st.sampled_from(["port", "limits", "max_k", "[", "]", "=", "\n", '"', "1", "security", "keys", ".", "{", "}"])


@settings(deadline=None)  # of a busy machine nothing is learnt
@given(st.lists(WORDS | st.text(max_size=5), max_size=20).map("".join))
@example("port = 1")
def test_whatever_stands_in_a_file_it_is_settings_or_refused(tmp_path_factory, text: str) -> None:
    path = tmp_path_factory.mktemp("any") / "any.toml"
    path.write_text(text, encoding="utf-8", errors="replace")
    try:
        assert isinstance(load(path).settings, ServerSettings)
    except InvalidInput as error:
        assert str(path) in str(error)
