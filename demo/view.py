"""The live view: latency against target, replicas, requests, batch size, the last decision."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from demo.checks import mib
from demo.watch import Snapshot

_BARS = " ▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float | None], top: float, width: int) -> str:
    """Values as a row of bars, the newest at the right; `top` fills a bar."""
    shown = list(values)[-width:]
    return "".join(" " if v is None else _BARS[min(8, max(1, round(8 * min(v, top) / top)))] for v in shown)


def render(snapshot: Snapshot, lines: Sequence[dict[str, Any]], target: float, width: int) -> Panel:
    """The view of one moment."""
    last = lines[-1] if lines else {}
    p95 = last.get("p95_seconds")
    head = Table.grid(padding=(0, 3))
    style = "bold red" if p95 is not None and p95 > target else "bold green"
    rate, answered, errors = last.get("planned_rps", 0), last.get("answered", 0), last.get("errors", 0)
    head.add_row("load", f"{rate:.1f} requests/s planned, {answered} answered, {errors} errors")
    head.add_row("p95 seen by clients", Text("-" if p95 is None else f"{p95:.2f} s (target {target} s)", style=style))
    bars = max(20, width - 30)
    head.add_row("", Text(sparkline([line["p95_seconds"] for line in lines], 4 * target, bars), style=style))
    head.add_row(
        "load over time",
        sparkline(
            [line["planned_rps"] for line in lines], max((x["planned_rps"] for x in lines), default=1) or 1, bars
        ),
    )
    pods = Table(
        "pod",
        "ready",
        "cpu request",
        "memory request",
        "memory limit (cgroup)",
        "cpu shares",
        "batch",
        box=None,
        header_style="dim",
    )
    for pod in snapshot.pods:
        pods.add_row(
            pod.name,
            "yes" if pod.ready else "no",
            pod.requests.get("cpu", "-"),
            pod.requests.get("memory", "-"),
            mib(pod.cgroup.get("memory_limit", "")),
            pod.cgroup.get("cpu_shares", "…"),
            pod.cgroup.get("batch", "…"),
        )
    decisions = snapshot.status.get("decisions", [])
    told = Table.grid(padding=(0, 2))
    for decision in decisions[:4]:
        told.add_row(
            decision["time"][11:19],
            decision["lever"],
            f"{decision['from']} → {decision['to']}",
            decision["outcome"],
            decision["message"],
        )
    alerts = [a["name"] for a in snapshot.status.get("alerts", []) if a.get("firing")]
    state = (
        f"replicas {snapshot.replicas} wanted, {snapshot.ready} ready   alerts firing: {', '.join(alerts) or 'none'}"
    )
    return Panel(
        Group(head, Text(state), pods, Text("last decisions", style="dim"), told), title=f"{snapshot.at:.0f} s"
    )


def line(snapshot: Snapshot, lines: Sequence[dict[str, Any]]) -> str:
    """The view as one line, where there is no terminal."""
    last = lines[-1] if lines else {}
    requests = ",".join(
        sorted({f"{p.requests.get('cpu', '-')}/{p.requests.get('memory', '-')}" for p in snapshot.pods})
    )
    batches = ",".join(sorted({p.cgroup.get("batch", "?") for p in snapshot.pods}))
    p95 = last.get("p95_seconds")
    latency = "  -  " if p95 is None else f"{p95:5.2f}"
    return (
        f"{snapshot.at:4.0f} s  {last.get('planned_rps', 0):5.1f} rps  p95 {latency} s  "
        f"replicas {snapshot.replicas} ({snapshot.ready} ready)  requests {requests}  batch {batches}  "
        f"{snapshot.status.get('summary', '')}"
    )


def console() -> Console:
    """Where the view is drawn."""
    return Console()
