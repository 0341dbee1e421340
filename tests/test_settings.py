"""`kit.toml`: what is known, what is refused, and how it says so."""

from pathlib import Path

import pytest

from kit.errors import SettingsError
from kit.settings import Settings, describe_settings, listen_address, load_settings, parse_settings, settings_as_toml


def test_a_missing_file_means_every_default(tmp_path: Path) -> None:
    assert load_settings(tmp_path / "kit.toml") == Settings()


def test_a_misspelt_setting_is_refused_with_file_table_and_nearest_match() -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings("[frost]\ntreshold_c = 1.0\n", source="kit.toml")
    assert str(caught.value) == "kit.toml: [frost] has no setting 'treshold_c'; did you mean 'threshold_c'?"


def test_a_misspelt_table_is_refused_with_the_nearest_match() -> None:
    with pytest.raises(SettingsError, match=r"has no setting 'brokr'; did you mean 'broker'"):
        parse_settings("[brokr]\n", source="kit.toml")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[frost]\nthreshold_c = 'cold'", "frost.threshold_c takes a number, not 'cold'"),
        ("[web]\nthreads = 1.5", "web.threads takes a whole number"),
        ("[web]\nthreads = true", "web.threads takes a whole number"),
        ("[unit]\nlanguages = 'en'", "unit.languages takes a list"),
        ("unit = 3", r"write \[unit\] on a line of its own"),
        ("[unit]\nname = Village", "is not valid TOML"),
    ],
)
def test_a_value_of_the_wrong_kind_says_what_would_be_right(text: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        parse_settings(text, source="kit.toml")


def test_a_whole_number_serves_where_a_number_is_wanted() -> None:
    assert parse_settings("[frost]\nthreshold_c = -1", source="x").frost.threshold_c == -1.0


def test_tables_in_tables_are_read() -> None:
    settings = parse_settings('[links.lora]\nradio = "tcp:10.0.0.7:4403"\n[core.links.lora]\nradio = "x"', source="x")
    assert settings.links.lora.radio == "tcp:10.0.0.7:4403"
    assert settings.core.links.lora.radio == "x"


def test_the_file_that_init_writes_is_read_back_as_the_same_settings() -> None:
    assert parse_settings(settings_as_toml(), source="x") == Settings()
    changed = parse_settings('[unit]\nname = "A \\"quoted\\" name"\n[web]\nlisten = "127.0.0.1:0"', source="x")
    assert parse_settings(settings_as_toml(changed), source="x") == changed


def test_every_setting_has_a_sentence() -> None:
    for table, key, _default, doc in describe_settings():
        assert doc.endswith("."), f"{table}.{key}"


def test_an_address_without_a_port_says_what_one_looks_like() -> None:
    with pytest.raises(SettingsError, match=r'for example "0\.0\.0\.0:8080"'):
        listen_address("8080", key="[web] listen")
    assert listen_address("tcp://[::1]:7450", key="k") == ("::1", 7450)
