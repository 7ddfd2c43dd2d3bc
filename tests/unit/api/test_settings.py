"""The administrator's file: defaults where it says nothing, an error that names file, field and remedy otherwise."""

from pathlib import Path

import pytest

from trimtab.api.settings import Mode, OperatorSettings, SettingsError, load_settings

TWO_OF_ONE_NAME = """
datasources:
- {name: mimir, url: "http://a.example"}
- {name: mimir, url: "http://b.example"}
"""


def load(tmp_path: Path, text: str) -> OperatorSettings:
    file = tmp_path / "settings.yaml"
    file.write_text(text, "utf-8")
    return load_settings(file)


def test_without_a_file_and_with_an_empty_one_the_defaults_hold(tmp_path: Path) -> None:
    assert load_settings(None) == load(tmp_path, "") == OperatorSettings()


def test_what_the_file_says_is_taken(tmp_path: Path) -> None:
    settings = load(tmp_path, "mode: Recommend\nlease: {durationSeconds: 30, renewSeconds: 20, retrySeconds: 5}\n")
    assert settings.mode is Mode.RECOMMEND
    assert settings.lease.renew_seconds == 20.0


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("mode: Perhaps", "mode", "Input should be"),
        ("tickSecond: 5", "tickSecond", "not permitted"),
        ("[]", "settings", "valid dictionary"),
        ("lease: {durationSeconds: 10, renewSeconds: 10}", "lease", "durationSeconds must be above renewSeconds"),
        ("lease: {renewSeconds: 2, retrySeconds: 2}", "lease", "1.2 times retrySeconds"),
        (TWO_OF_ONE_NAME, "settings", "two datasources are called mimir; rename one of them"),
    ],
)
def test_a_wrong_file_is_refused_with_its_field_and_the_remedy(
    tmp_path: Path, text: str, where: str, what: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, text)
    said = str(caught.value)
    assert said.startswith(f"{tmp_path / 'settings.yaml'}: {where}: ")
    assert what in said
    assert said.endswith("correct it in the chart's values")


@pytest.mark.parametrize("text", ["{", "a: [1", "\x07"])
def test_a_file_that_is_no_yaml_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match="not readable as YAML"):
        load(tmp_path, text)


def test_a_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="not readable"):
        load_settings(tmp_path / "nowhere.yaml")
