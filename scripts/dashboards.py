"""Writes the Grafana dashboards: dashboards/*.json, and the same files into the chart, which ships them as ConfigMaps.

python -m scripts.dashboards [--check]
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from scripts.board_fleet import FLEET
from scripts.board_operator import OPERATOR
from scripts.board_workload import WORKLOAD
from scripts.grafana import rendered

ROOT = Path(__file__).parent.parent
FOLDERS = (ROOT / "dashboards", ROOT / "charts" / "trimtab" / "files" / "dashboards")
DASHBOARDS = {"fleet": FLEET, "workload": WORKLOAD, "operator": OPERATOR}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files, or with --check say which differ and return 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail when a file differs")
    check = parser.parse_args(arguments).check
    stale = [path for path, text in files().items() if not path.exists() or path.read_text("utf-8") != text]
    if check and stale:
        names = ", ".join(str(path.relative_to(ROOT)) for path in stale)
        print(f"{names} differ from scripts/dashboards.py; run `python -m scripts.dashboards`", file=sys.stderr)
        return 1
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files()[path], "utf-8")
    return 0


def files() -> dict[Path, str]:
    """Text of every file."""
    return {
        folder / f"{name}.json": json.dumps(rendered(dashboard), indent=1) + "\n"
        for folder in FOLDERS
        for name, dashboard in DASHBOARDS.items()
    }


if __name__ == "__main__":
    sys.exit(main())
