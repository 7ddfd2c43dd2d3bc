"""The page of a backtest in a real browser, at the width of a desktop and of a phone."""

import html
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.backtest.scene import DAY, END, MIB, daily
from trimtab.backtest import report
from trimtab.backtest.owners import Workload
from trimtab.backtest.reader import KSM, Past, Sources
from trimtab.backtest.replay import Prices, replay
from trimtab.backtest.tracks import STEP, Fleet

DAYS, WORKLOADS = 4, 500
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
const find = document.querySelector('#find');
find.value = 'app-7/';
find.dispatchEvent(new Event('input'));
const visible = list => [...list].filter(one => one.style.display !== 'none').length;
seen.found = visible(document.querySelectorAll('details[data-t]'));
seen.foundRows = visible(document.querySelectorAll('tbody tr'));
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
    (folder / "page.html").write_text(page.replace("</body>", f"{LOOK}</body>"))
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


@pytest.mark.parametrize("screen", SIZES)
def test_five_hundred_workloads_can_be_read_and_searched(page: str, screen: str, tmp_path: Path) -> None:
    seen = look(page, SIZES[screen], tmp_path)
    assert seen["width"] == SIZES[screen][0]
    assert seen["scroll"] <= seen["width"], "the page itself never scrolls sideways"
    assert seen["figures"] == 2 * WORKLOADS
    assert seen["open"] == 1
    assert seen["rows"] >= 2 * WORKLOADS
    assert seen["fontSize"] >= 14
    assert seen["outside"] == 0, "nothing is loaded from elsewhere"
    assert seen["found"] == 2
    assert seen["foundRows"] == 2


def test_the_page_of_five_hundred_workloads_is_no_larger_than_a_mail_can_carry(page: str) -> None:
    assert len(page) < 10e6
