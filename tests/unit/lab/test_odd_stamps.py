"""Stamps that are years away, closer than a minute, or in two files of one name."""

from pathlib import Path

import numpy as np
import pytest

from trimtab.lab.traces import TraceError, read_arrivals, read_usage

START = 1_700_000_000
BITBRAINS = (
    "Timestamp [ms];CPU cores;CPU capacity provisioned [MHZ];CPU usage [MHZ];CPU usage [%];"
    "Memory capacity provisioned [KB];Memory usage [KB];a;b;c;d\n"
)
TOKENS = "TIMESTAMP,ContextTokens,GeneratedTokens\n"


def write(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.parent.mkdir(exist_ok=True, parents=True)
    file.write_text(text)
    return folder


def stamps(step: float, count: int = 200, start: float = START, columns: str = ",5") -> list[str]:
    return [f"{start + step * i:.10g}{columns}" for i in range(count)]


STRAY = ["0", "1970-01-01", "2150-01-01T00:00:00Z", "-5e9", "9e10"]


@pytest.mark.parametrize("stamp", STRAY)
@pytest.mark.parametrize("name", ["usage/web.csv", "usage/mem-web.csv", "rps/web.csv"])
@pytest.mark.parametrize("step", [1, 60, 3600])
def test_a_stamp_years_away_from_all_others_is_named_by_its_line(
    tmp_path: Path, stamp: str, name: str, step: float
) -> None:
    lines = ["ts,value", *stamps(step)]
    lines.insert(70, f"{stamp},5")
    write(tmp_path, name, "\n".join(lines))
    read = read_usage if name.startswith("usage") else read_arrivals
    with pytest.raises(TraceError, match=r"web\.csv, line 71: its time is [0-9,]+ days away") as caught:
        read(tmp_path)
    assert "correct or remove the line" in caught.value.remedy


@pytest.mark.parametrize("stamp", STRAY)
def test_a_stray_arrival_with_tokens_is_named_by_its_line(tmp_path: Path, stamp: str) -> None:
    lines = stamps(0.5, columns=",10,20")
    lines.insert(70, f"{stamp},10,20")
    with pytest.raises(TraceError, match=r"llm\.csv, line 72: its time is"):
        read_arrivals(write(tmp_path, "rps/llm.csv", TOKENS + "\n".join(lines)))


@pytest.mark.parametrize("stamp", STRAY)
def test_a_stray_stamp_of_bitbrains_is_named_by_its_line(tmp_path: Path, stamp: str) -> None:
    columns = ";1;2600;10;1;2097152;1024;0;0;0;0"
    lines = stamps(300, columns=columns)
    lines.insert(70, stamp + columns)
    with pytest.raises(TraceError, match=r"bitbrains\.csv, line 72: its time is"):
        read_usage(write(tmp_path, "usage/bitbrains.csv", BITBRAINS + "\n".join(lines)))


def test_a_gap_that_no_replay_could_go_through_is_named_though_it_is_no_year(tmp_path: Path) -> None:
    text = "\n".join(stamps(1, 300) + stamps(1, 200, START + 30 * 86400))
    with pytest.raises(TraceError, match=r"web\.csv, line 301: most samples are 1 s apart, which leaves 2,59.* steps"):
        read_usage(write(tmp_path, "usage/web.csv", text))


@pytest.mark.parametrize(("step", "days"), [(60, 300), (300, 360), (3600, 360)])
def test_a_pause_of_months_in_usage_is_a_gap_like_any_other(tmp_path: Path, step: float, days: int) -> None:
    text = "\n".join(stamps(step, 300) + stamps(step, 300, START + days * 86400))
    (usage,), _ = read_usage(write(tmp_path, "usage/web.csv", text))
    assert len(usage) == 600


def test_arrivals_may_pause_for_days_but_not_for_weeks(tmp_path: Path) -> None:
    write(tmp_path, "rps/web.csv", "\n".join(stamps(60, 300) + stamps(60, 300, START + 6 * 86400)))
    (arrivals,), _ = read_arrivals(tmp_path)
    assert len(arrivals.rate) == 6 * 1440 + 300
    write(tmp_path, "rps/web.csv", "\n".join(stamps(60, 300) + stamps(60, 300, START + 9 * 86400)))
    with pytest.raises(TraceError, match=r"line 301: its time is 9 days away"):
        read_arrivals(tmp_path)


def test_arrivals_with_tokens_may_span_a_year(tmp_path: Path) -> None:
    text = TOKENS + "\n".join(stamps(6 * 86400, 70, columns=",1,2"))
    with pytest.raises(TraceError, match=r"line 71: ends 414 days after its first arrival; keep a year"):
        read_arrivals(write(tmp_path, "rps/llm.csv", text))


def test_ten_years_of_hours_are_read_as_usage_memory_and_arrivals(tmp_path: Path) -> None:
    text = "\n".join(stamps(3600, 87_600))
    for name in ("usage/web.csv", "usage/mem-web.csv", "rps/web.csv"):
        write(tmp_path, name, text)
    assert [len(usage) for usage in read_usage(tmp_path)[0]] == [87_600, 87_600]
    assert len(read_arrivals(tmp_path)[0][0].rate) == 87_599 * 60 + 1


def rates(folder: Path, lines: list[str]) -> list[float]:
    (arrivals,), _ = read_arrivals(write(folder, "rps/web.csv", "time,count\n" + "\n".join(lines)))
    assert arrivals.step == 60.0
    return [round(rate, 6) for rate in arrivals.rate.tolist()]


def test_counts_of_half_minutes_are_summed_by_minute(tmp_path: Path) -> None:
    lines = [f"{START + 30 * i},{count}" for i, count in enumerate([60, 180, 300, 0, 30, 90])]
    assert rates(tmp_path, lines) == [4, 5, 2]


@pytest.mark.parametrize("step", [1, 5, 10, 15, 20, 30])
def test_no_request_is_lost_when_stamps_are_closer_than_a_minute(tmp_path: Path, step: int) -> None:
    counts = np.random.default_rng(step).integers(0, 50, 10 * 60 // step)
    found = rates(tmp_path, [f"{START + step * i},{count}" for i, count in enumerate(counts.tolist())])
    assert len(found) == 10
    assert sum(found) * 60 == pytest.approx(counts.sum(), abs=1e-3)


@pytest.mark.parametrize("missing", ["", "NaN", "-3"])
def test_a_missing_count_within_a_minute_is_not_zero(tmp_path: Path, missing: str) -> None:
    counts = [10, 20, missing, 30, 10, 10]
    lines = [f"{START + 20 * i},{count}" for i, count in enumerate(counts)]
    assert rates(tmp_path, lines) == [0.75, 0.833333]


def test_minutes_that_drift_by_a_second_stay_minutes(tmp_path: Path) -> None:
    lines = [f"{START + seconds},{count}" for seconds, count in ((0, 60), (61, 120), (119, 180), (180, 240))]
    assert rates(tmp_path, lines) == [1, 2, 3, 4]


def test_two_files_of_one_name_keep_their_endings(tmp_path: Path) -> None:
    for name in ("web.csv", "other.csv"):
        write(tmp_path, f"rps/{name}", "\n".join(stamps(60)))
    for name in ("web.txt", "web.txt.csv"):
        write(tmp_path, f"rps/{name}", "\n".join(stamps(60)) if name.endswith("csv") else "5\n6\n")
    found, _ = read_arrivals(tmp_path)
    assert [(one.name, one.file) for one in found] == [
        ("other", "rps/other.csv"),
        ("web.csv", "rps/web.csv"),
        ("web.txt", "rps/web.txt"),
        ("web.txt.csv", "rps/web.txt.csv"),
    ]


@pytest.mark.parametrize("name", ["silent.txt", "silent.csv"])
def test_a_recording_of_silence_is_skipped_with_its_ending(tmp_path: Path, name: str) -> None:
    text = "0\n" * 100 if name.endswith("txt") else "\n".join(stamps(60, columns=",0"))
    found, skipped = read_arrivals(write(tmp_path, f"rps/{name}", text))
    assert not found
    assert [(one.file, one.why) for one in skipped] == [(f"rps/{name}", "holds no arrivals")]
