"""Reports in a folder: old ones go, everything else stays."""

from pathlib import Path

from tests.unit.audit.scene import NOW, resource
from trimtab.audit.collect import collect
from trimtab.audit.keep import expired, file_name, prune

DAY = 86_400.0


def test_a_file_is_called_by_namespace_and_day() -> None:
    assert file_name("shop", NOW, "md") == "trimtab-audit-shop-2027-01-15.md"


def test_reports_older_than_their_retention_are_gone_and_newer_ones_stay(tmp_path: Path) -> None:
    for age in (0, 6, 7, 8, 40):
        (tmp_path / file_name("shop", NOW - age * DAY, "html")).write_text("x")
        (tmp_path / file_name("lab-2", NOW - age * DAY, "json")).write_text("x")
        (tmp_path / file_name("gone", NOW - age * DAY, "md")).write_text("x")
    prune(tmp_path, NOW, {"shop": 7, "lab-2": 365})
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == sorted(
        [file_name("shop", NOW - age * DAY, "html") for age in (0, 6, 7)]
        + [file_name("lab-2", NOW - age * DAY, "json") for age in (0, 6, 7, 8, 40)]
        + [file_name("gone", NOW - age * DAY, "md") for age in (0, 6, 7, 8)]
    )


def test_only_files_that_are_called_so_are_removed(tmp_path: Path) -> None:
    others = [
        "notes.md",
        "trimtab-audit-shop-2020-01-01.md.bak",
        "old-trimtab-audit-shop-2020-01-01.md",
        "trimtab-audit-shop-2020-13-01.md",
        "trimtab-audit-shop-2020-01-01.txt",
        "trimtab-audit-../x-2020-01-01.md".replace("/", "-"),
    ]
    for name in others:
        (tmp_path / name).write_text("x")
    (tmp_path / "trimtab-audit-shop-2020-01-01.json").mkdir()
    outside = tmp_path / "kept"
    outside.write_text("x")
    (tmp_path / "trimtab-audit-shop-2020-01-01.html").symlink_to(outside)
    assert prune(tmp_path, NOW, {}) == []
    assert expired(others, NOW, {}) == []
    assert outside.exists()


def test_a_namespace_keeps_its_reports_as_long_as_the_shortest_retention_in_it() -> None:
    configs = [
        resource("a", spec={"monitoring": {"retentionDays": 30}}),
        resource("b", spec={"monitoring": {"retentionDays": 3}}),
    ]
    assert collect(configs, [], NOW)["shop"].retention_days == 3
