"""The page of a backtest in a real browser, at the width of a desktop and of a phone."""

import html
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.audit.scene import NOW, decision, resource
from tests.unit.backtest.scene import DAY, END, MIB, daily
from trimtab.audit.collect import collect
from trimtab.audit.page import page as audit_page
from trimtab.audit.render import html as audit_html
from trimtab.audit.report import report as audit_report
from trimtab.backtest import report
from trimtab.backtest.owners import Workload
from trimtab.backtest.reader import KSM, Past, Sources
from trimtab.backtest.replay import Prices, replay
from trimtab.backtest.tracks import STEP, Fleet

DAYS, WORKLOADS = 4, 500
Looked = tuple[str, dict[str, Any]]
"""A screen, and what was seen on it."""
SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
# Looks at the page as a reader does, types into the search field, and writes what it saw into the document.
LOOK = """
<script>
const seen = {
  scroll: document.documentElement.scrollWidth, width: window.innerWidth,
  figures: document.querySelectorAll('details[data-t]').length,
  open: document.querySelectorAll('details[data-t][open]').length,
  rows: document.querySelectorAll('tbody tr').length,
  fontSize: parseFloat(getComputedStyle(document.body).fontSize),
  outside: performance.getEntriesByType('resource').length,
};
seen.folded = document.querySelectorAll('details.t:not([open])').length;
seen.tables = document.querySelectorAll('table').length;
seen.plotsFrom = document.querySelector('details[data-t]')?.getBoundingClientRect().top;
const ticks = [...document.querySelectorAll('svg text')].map(t => t.textContent);
seen.dates = ticks.filter(t => /^[A-Z][a-z]{2} [0-9]+$/.test(t)).length;
const box = [...document.querySelectorAll('details.t .scroll')].pop();
if (box) {
  box.closest('details').open = true;
  box.scrollTop = 600;
  box.scrollLeft = 150;
  const name = box.querySelector('tbody tr:nth-child(40) td'), head = box.querySelector('thead th:nth-child(2)');
  seen.scrolled = [box.scrollTop, box.scrollLeft];
  seen.nameFrom = name.getBoundingClientRect().left - box.getBoundingClientRect().left;
  seen.nameWidth = name.getBoundingClientRect().width;
  seen.nameCovers = getComputedStyle(name).backgroundColor;
  seen.headFrom = head.getBoundingClientRect().top - box.getBoundingClientRect().top;
  box.closest('details').open = false;
}
const find = document.querySelector('#find');
const visible = list => [...list].filter(one => one.style.display !== 'none').length;
if (find) {
  const totals = document.querySelectorAll('.scroll:not(.q) tbody tr');
  find.value = 'team-7/app-7';
  find.dispatchEvent(new Event('input'));
  seen.found = visible(document.querySelectorAll('details[data-t]'));
  seen.foundRows = visible(document.querySelectorAll('.q tbody tr'));
  seen.opened = document.querySelectorAll('details.t[open]').length;
  seen.totals = [totals.length, visible(totals)];
}
document.body.innerHTML = '';
parent.document.title = JSON.stringify(seen);
</script>
"""


@pytest.fixture(scope="module")
def page() -> str:
    fleet = Fleet(END, int(DAYS * DAY / STEP))
    times = fleet.times
    wave = daily(0.1, 0.5)(times)
    for number in range(WORKLOADS):
        workload = Workload(f"team-{number % 20}", "Deployment", f"app-{number}")
        factor = 0.2 + (number * 37 % 101) / 50
        fleet.add_usage(workload, "app", "cpu", times, wave * factor)
        fleet.add_usage(workload, "app", "memory", times, 200 * MIB * (1 + wave * factor))
        fleet.add_request(workload, "app", "cpu", times, np.full(len(times), 1.5))
        fleet.add_request(workload, "app", "memory", times, np.full(len(times), 1024 * MIB))
    result = replay(fleet, Prices(), policies=("vpa",))
    return report.html(Past(fleet, {"team-0": Sources(KSM, KSM)}), result, DAYS, "USD")


def look(page: str, size: tuple[int, int], folder: Path) -> dict[str, Any]:
    """What a headless Chromium sees, in a frame of that size: its own windows are never as narrow as a phone."""
    # A page that forbids every script is looked at without that rule.
    bare = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    (folder / "page.html").write_text(bare.replace("</body>", f"{LOOK}</body>"))
    file = folder / "frame.html"
    style = f"width:{size[0]}px;height:{size[1]}px;border:0"
    file.write_text(f'<title></title><iframe src="page.html" style="{style}"></iframe>')
    command = [
        "chromium",
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--allow-file-access-from-files",
    ]
    command += [
        f"--user-data-dir={folder / 'profile'}",
        "--window-size=1400,1000",
        "--dump-dom",
        file.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    title = re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)
    assert title is not None, done.stdout[:500]
    seen: dict[str, Any] = json.loads(html.unescape(title[1]))
    return seen


@pytest.fixture(scope="module", params=SIZES)
def looked(page: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Looked:
    return request.param, look(page, SIZES[request.param], tmp_path_factory.mktemp("page"))


def test_five_hundred_workloads_can_be_read_and_searched(looked: Looked) -> None:
    screen, seen = looked
    assert seen["width"] == SIZES[screen][0]
    assert seen["scroll"] <= seen["width"], "the page itself never scrolls sideways"
    assert seen["figures"] == 2 * WORKLOADS
    assert seen["open"] == 1
    assert seen["rows"] >= 2 * WORKLOADS
    assert seen["fontSize"] >= 14
    assert seen["outside"] == 0, "nothing is loaded from elsewhere"
    assert seen["found"] == 2
    assert seen["foundRows"] == 3, "a workload and its two sizes"
    assert seen["opened"] == 2, "what was found is shown"
    assert seen["totals"][0] == seen["totals"][1] > 0, "totals are of everything"


def test_long_tables_are_folded_and_keep_their_names_and_heads_in_view(looked: Looked) -> None:
    screen, seen = looked
    assert seen["folded"] == 2
    assert seen["plotsFrom"] < 2.5 * SIZES[screen][1]
    assert seen["dates"] >= 2 * WORKLOADS
    assert seen["scrolled"][0] == 600
    assert seen["headFrom"] < 5
    assert abs(seen["nameFrom"]) < 2
    assert seen["nameWidth"] < SIZES[screen][0] / 2
    assert seen["nameCovers"] not in {"transparent", "rgba(0, 0, 0, 0)"}
    if screen == "phone":
        assert seen["scrolled"][1] == 150


@pytest.mark.parametrize("screen", SIZES)
def test_the_report_of_an_audit_can_be_read(screen: str, tmp_path: Path) -> None:
    decisions = [decision(f"d{number}", message="app needs less; " * 12) for number in range(40)]
    gathered = collect([resource("web-" + "x" * 40, decisions=decisions), resource("db")], [], NOW)
    made = audit_html(audit_page(audit_report("shop", gathered["shop"], NOW)))
    seen = look(made, SIZES[screen], tmp_path)
    assert seen["width"] == SIZES[screen][0]
    assert seen["tables"] >= 1
    assert seen["scroll"] <= seen["width"], "the page itself never scrolls sideways"
    assert seen["fontSize"] >= 14
    assert seen["outside"] == 0


def test_the_page_of_five_hundred_workloads_is_no_larger_than_a_mail_can_carry(page: str) -> None:
    assert len(page) < 10e6
