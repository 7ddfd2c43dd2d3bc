import os
import subprocess
import sys
from pathlib import Path

import pytest

from settings import SettingsError, from_environment

APP = Path(__file__).parents[3] / "examples" / "rag-api" / "app.py"


def test_an_empty_environment_gives_usable_settings() -> None:
    settings = from_environment({})
    assert settings.batch_size >= 1
    assert settings.concurrency >= settings.batch_size
    assert settings.model.width % settings.model.heads == 0


def test_the_three_knobs_are_read_from_the_environment() -> None:
    settings = from_environment({"BATCH_SIZE": "4", "CONCURRENCY": "9", "CACHE_MB": "0"})
    assert (settings.batch_size, settings.concurrency, settings.cache_mib) == (4, 9, 0)


@pytest.mark.parametrize("name", ["BATCH_SIZE", "CONCURRENCY", "CACHE_MB", "PORT", "MODEL_WIDTH", "DRAIN_SECONDS"])
@pytest.mark.parametrize("text", ["", "four", "1.5", "0x10", "NaN"])
def test_a_value_that_is_no_whole_number_is_refused_by_name(name: str, text: str) -> None:
    with pytest.raises(SettingsError, match=rf"^{name}='{text}' is not a whole number: set {name} to .* from \d+ to"):
        from_environment({name: text})


@pytest.mark.parametrize(
    ("name", "text"),
    [("BATCH_SIZE", "0"), ("BATCH_SIZE", "-1"), ("CONCURRENCY", "0"), ("CACHE_MB", "999999"), ("PORT", "70000")],
)
def test_a_value_out_of_range_is_refused_with_the_range(name: str, text: str) -> None:
    with pytest.raises(SettingsError, match=rf"^{name}={text} is out of range: set {name} to .* from \d+ to \d+\.$"):
        from_environment({name: text})


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(SettingsError, match="MODEL_WIDTH=100 is not a multiple of MODEL_HEADS=16"):
        from_environment({"MODEL_WIDTH": "100"})


def test_the_process_says_which_setting_is_wrong_and_ends_with_2() -> None:
    done = subprocess.run(
        [sys.executable, APP],
        env={"PATH": os.environ["PATH"], "BATCH_SIZE": "many"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("rag-api can't start: BATCH_SIZE='many' is not a whole number")
    assert "Traceback" not in done.stderr
