"""What readers of recordings do with good files, odd samples and broken lines."""

from pathlib import Path

import numpy as np
import pytest

from trimtab.lab.traces import Skipped, TraceError, Usage, read_arrivals, read_usage

HEADER = "ts,value\n"
BITBRAINS = (
    "Timestamp [ms];\tCPU cores;\tCPU capacity provisioned [MHZ];\tCPU usage [MHZ];\tCPU usage [%];\t"
    "Memory capacity provisioned [KB];\tMemory usage [KB];\tDisk read throughput [KB/s];\t"
    "Disk write throughput [KB/s];\tNetwork received throughput [KB/s];\tNetwork transmitted throughput [KB/s]\n"
)


def usage_of(folder: Path, text: str, name: str = "a.csv") -> Usage:
    (folder / "usage").mkdir(exist_ok=True)
    (folder / "usage" / name).write_text(text)
    found, skipped = read_usage(folder)
    assert not skipped
    assert len(found) == 1
    return found[0]


def minutes(values: list[object], start: int = 0) -> str:
    return "".join(f"{start + 60 * i},{value}\n" for i, value in enumerate(values))


def test_a_two_column_file_is_cpu_with_the_median_step(tmp_path: Path) -> None:
    usage = usage_of(tmp_path, HEADER + minutes([1, 2, 3, 4]), "web.csv")
    assert (usage.name, usage.resource, usage.step) == ("web", "cpu", 60.0)
    assert usage.values.tolist() == [1, 2, 3, 4]


def test_a_file_without_a_header_loses_no_line(tmp_path: Path) -> None:
    assert usage_of(tmp_path, minutes([1, 2, 3, 4])).values.tolist() == [1, 2, 3, 4]


def test_a_file_called_mem_is_memory(tmp_path: Path) -> None:
    assert usage_of(tmp_path, HEADER + minutes([1, 2, 3, 4]), "mem-web.csv").resource == "memory"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("1000000060", "1000000120"),
        ("1000000060000", "1000000120000"),
        ("2001-09-09 01:47:40", "2001-09-09 01:48:40"),
        ("2001-09-09T01:47:40Z", "2001-09-09T01:48:40Z"),
        ("2001-09-09T03:47:40+02:00", "2001-09-09T03:48:40+02:00"),
    ],
)
def test_times_are_seconds_milliseconds_or_dates_in_utc(tmp_path: Path, first: str, second: str) -> None:
    usage = usage_of(tmp_path, f"{HEADER}1000000000,1\n{first},2\n{second},3\n1000000180,4\n")
    assert usage.times.tolist() == [1000000000, 1000000060, 1000000120, 1000000180]


def test_bitbrains_gives_cpu_in_mhz_and_memory_in_bytes(tmp_path: Path) -> None:
    lines = "".join(
        f"{300 * i};\t1;\t2600.0;\t{10.0 + i};\t0.7;\t2097152.0;\t{1024.0 * i};\t0;\t0;\t0;\t0\n" for i in range(4)
    )
    (tmp_path / "usage").mkdir()
    (tmp_path / "usage" / "bitbrains-7.csv").write_text(BITBRAINS + lines)
    (cpu, memory), skipped = read_usage(tmp_path)
    assert not skipped
    assert (cpu.resource, cpu.values.tolist(), cpu.provisioned) == ("cpu", [10, 11, 12, 13], 2600.0)
    assert (memory.resource, memory.provisioned) == ("memory", 2.0**31)
    assert memory.values.tolist() == [0, 2**20, 2 * 2**20, 3 * 2**20]


@pytest.mark.parametrize("missing", ["", "NaN", "inf", "-1", "-0.5"])
def test_a_missing_or_impossible_value_leaves_a_gap_and_is_never_zero(tmp_path: Path, missing: str) -> None:
    usage = usage_of(tmp_path, HEADER + minutes([1, 2, missing, 4, 5]))
    assert usage.values.tolist() == [1, 2, 4, 5]
    assert usage.times.tolist() == [0, 60, 180, 240]
    assert usage.step == 60.0


def test_a_gap_stays_a_gap(tmp_path: Path) -> None:
    usage = usage_of(tmp_path, HEADER + minutes([1, 2, 3, 4]) + minutes([5, 6], start=86400))
    assert len(usage) == 6
    assert usage.times[4] == 86400


def test_samples_out_of_order_are_sorted(tmp_path: Path) -> None:
    usage = usage_of(tmp_path, f"{HEADER}120,3\n0,1\n180,4\n60,2\n")
    assert usage.values.tolist() == [1, 2, 3, 4]


def test_of_equal_stamps_the_largest_value_stays(tmp_path: Path) -> None:
    usage = usage_of(tmp_path, f"{HEADER}0,1\n60,2\n60,7\n60,3\n120,4\n180,5\n")
    assert usage.values.tolist() == [1, 7, 4, 5]
    assert np.all(np.diff(usage.times) > 0)


@pytest.mark.parametrize(
    ("line", "remedy"),
    [
        ("120,three", "'three' is no number"),
        ("noon,3", "'noon' is no time"),
        ("nan,3", "'nan' is no time"),
        ("120,3,4", "has 3 columns instead of 2"),
        ("120", "has 1 columns instead of 2"),
    ],
)
def test_a_broken_line_is_an_error_with_file_line_and_remedy(tmp_path: Path, line: str, remedy: str) -> None:
    with pytest.raises(TraceError) as caught:
        usage_of(tmp_path, f"{HEADER}0,1\n60,2\n{line}\n")
    assert (caught.value.file.name, caught.value.line) == ("a.csv", 4)
    assert remedy in caught.value.remedy
    assert f"a.csv, line 4: {remedy}" in str(caught.value)


def test_a_broken_bitbrains_line_is_named(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"bitbrains\.csv, line 2: has 2 columns instead of 11"):
        usage_of(tmp_path, f"{BITBRAINS}0;1\n", "bitbrains.csv")


def test_a_bitbrains_file_without_its_header_is_named(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="restore its header"):
        usage_of(tmp_path, "0;1;2;3;4;5;6;7;8;9;10\n", "bitbrains.csv")


def test_a_binary_file_is_an_error_and_no_crash(tmp_path: Path) -> None:
    (tmp_path / "usage").mkdir()
    (tmp_path / "usage" / "a.csv").write_bytes(b"ts,value\n0,\xff\xfe\n")
    with pytest.raises(TraceError, match="line 2"):
        read_usage(tmp_path)


def test_files_of_another_kind_are_named_and_skipped(tmp_path: Path) -> None:
    (tmp_path / "usage" / "more").mkdir(parents=True)
    (tmp_path / "usage" / "notes.md").write_text("hello")
    (tmp_path / "usage" / "wide.csv").write_text("a,b,c\n1,2,3\n")
    found, skipped = read_usage(tmp_path)
    assert not found
    assert [one.file for one in skipped] == ["usage/more", "usage/notes.md", "usage/wide.csv"]
    assert skipped[2] == Skipped("usage/wide.csv", "does not have two columns, a time and a value")


@pytest.mark.parametrize("text", ["", HEADER, HEADER + "0,1\n", HEADER + "0,NaN\n60,\n"])
def test_a_recording_too_short_to_score_is_skipped_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "usage").mkdir()
    (tmp_path / "usage" / "a.csv").write_text(text)
    found, skipped = read_usage(tmp_path)
    assert not found
    assert [one.file for one in skipped] == ["usage/a.csv"]


@pytest.mark.parametrize("kind", ["usage", "rps"])
def test_a_folder_that_lacks_the_recordings_says_what_to_do(tmp_path: Path, kind: str) -> None:
    read = read_usage if kind == "usage" else read_arrivals
    with pytest.raises(TraceError, match=f"no {kind}/ in it"):
        read(tmp_path)
    with pytest.raises(TraceError, match="there is no such folder"):
        read(tmp_path / "nowhere")


def test_the_warm_up_is_two_days_or_a_quarter_of_a_recording_shorter_than_eight() -> None:
    long = np.arange(0.0, 10 * 86400, 3600)
    short = np.arange(0.0, 4 * 86400, 3600)
    assert Usage("a", "cpu", long, np.ones(len(long)), 3600.0).scored_from == 48
    assert Usage("a", "cpu", short, np.ones(len(short)), 3600.0).scored_from == 24


def test_ten_years_of_hours_are_read(tmp_path: Path) -> None:
    usage = usage_of(tmp_path, HEADER + "".join(f"{3600 * i},1\n" for i in range(87_600)))
    assert (len(usage), usage.scored_from) == (87_600, 48)


def arrivals_of(folder: Path, name: str, text: str) -> list[float]:
    (folder / "rps").mkdir(exist_ok=True)
    (folder / "rps" / name).write_text(text)
    found, skipped = read_arrivals(folder)
    assert not skipped
    return [round(rate, 6) for rate in found[0].rate.tolist()]


def test_a_txt_is_one_rate_a_second(tmp_path: Path) -> None:
    assert arrivals_of(tmp_path, "a.txt", "10\n20\n30\n") == [10, 20, 30]


def test_a_missing_rate_lies_between_its_neighbours(tmp_path: Path) -> None:
    assert arrivals_of(tmp_path, "a.txt", "10\nNaN\n30\n") == [10, 20, 30]


def test_counts_a_minute_become_rates_and_missing_minutes_are_filled(tmp_path: Path) -> None:
    text = "1998-06-03 22:00,600\n1998-06-03 22:01,1200\n1998-06-03 22:03,2400\n"
    assert arrivals_of(tmp_path, "a.csv", text) == [10, 20, 30, 40]


def test_arrivals_with_tokens_are_counted_by_second_in_any_order(tmp_path: Path) -> None:
    head = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
    lines = "2023-11-16 18:15:48.6805900,1,2\n2023-11-16 18:15:46.6805900,1,2\n2023-11-16 18:15:46.9,1,2\n"
    assert arrivals_of(tmp_path, "a.csv", head + lines) == [2, 0, 1]


@pytest.mark.parametrize(
    ("name", "text", "where"),
    [
        ("a.txt", "1\ntwo\n", "line 2"),
        ("a.txt", "1\n2,3\n", "line 2"),
        ("a.csv", "0,1\n60,x\n", "line 2"),
        ("a.csv", "TIMESTAMP,ContextTokens,GeneratedTokens\nx,1,2\n", "line 2"),
        ("a.csv", "TIMESTAMP,ContextTokens,GeneratedTokens\n1,2\n", "line 2"),
    ],
)
def test_a_broken_line_of_arrivals_is_named(tmp_path: Path, name: str, text: str, where: str) -> None:
    with pytest.raises(TraceError, match=where):
        arrivals_of(tmp_path, name, text)


def test_an_empty_file_of_arrivals_is_skipped_by_name(tmp_path: Path) -> None:
    (tmp_path / "rps").mkdir()
    for name in ("a.txt", "b.csv", "c.csv", "d.png"):
        (tmp_path / "rps" / name).write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n" if name == "c.csv" else "")
    found, skipped = read_arrivals(tmp_path)
    assert not found
    assert [one.file for one in skipped] == ["rps/a.txt", "rps/b.csv", "rps/c.csv", "rps/d.png"]
