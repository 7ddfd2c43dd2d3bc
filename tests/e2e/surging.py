"""A real surge: a CPU-bound service on real pods that take a while to start, real requests, and what is measured."""

from __future__ import annotations

import contextlib
import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from testbed import cgroups
from testbed.bed import Bed
from tests.e2e.operating import Json, Shop, ready

NAME = "surging"
CPU_SECONDS = 0.005
"""CPU of a request, to which the server adds one or two milliseconds: short against a CFS period of 100 ms."""
LIMIT = "100m"
"""CPU request and limit of a pod: fifteen requests a second keep it busy."""
MOST = "300m"
STARTUP_SECONDS = 30
"""A pod takes requests this long after its start."""
TARGET = 0.4
PODS = 2
CALM, SURGE = 7.5, 27.0
"""Requests a second to each of the first pods: half of what it can do, and 1.8 times of it."""

SERVICE = f"""
import http.server, threading, time
bounds, counts, total, lock = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2), [0] * 8, [0.0], threading.Lock()
class Service(http.server.BaseHTTPRequestHandler):
    def log_message(self, *words): pass
    def do_GET(self):
        if self.path == "/metrics":
            sums = [sum(counts[:i + 1]) for i in range(8)]
            lines = ['surge_seconds_bucket{{le="%s"}} %d' % line for line in zip((*bounds, "+Inf"), sums)]
            lines += ["surge_seconds_count %d" % sums[-1], "surge_seconds_sum %f" % total[0], ""]
            body = "\\n".join(lines)
        else:
            began, end, body = time.perf_counter(), time.thread_time() + {CPU_SECONDS}, "done"
            while time.thread_time() < end: pass
            took = time.perf_counter() - began
            with lock:
                counts[sum(took > bound for bound in bounds)] += 1
                total[0] += took
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body.encode())
http.server.ThreadingHTTPServer(("", 8000), Service).serve_forever()
"""


def workload() -> Json:
    """Two pods with a CPU limit."""
    container = {
        "name": "app",
        "image": "trimtab/python:dev",
        "imagePullPolicy": "Never",
        "args": ["-c", SERVICE],
        "resources": {"requests": {"cpu": LIMIT, "memory": "64Mi"}, "limits": {"cpu": LIMIT, "memory": "256Mi"}},
        "readinessProbe": {
            "httpGet": {"path": "/metrics", "port": 8000},
            "initialDelaySeconds": STARTUP_SECONDS,
            "periodSeconds": 2,
            "timeoutSeconds": 20,
            "failureThreshold": 10,
        },
    }
    scraped = {"prometheus.io/scrape": "true", "prometheus.io/port": "8000", "prometheus.io/path": "/metrics"}
    pod = {"terminationGracePeriodSeconds": 0, "containers": [container]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME},
        "spec": {
            "replicas": PODS,
            "selector": {"matchLabels": {"app": NAME}},
            "template": {"metadata": {"labels": {"app": NAME}, "annotations": scraped}, "spec": pod},
        },
    }


def config() -> Json:
    """Replicas and CPU may be moved; one histogram of the pods measures latency and counts requests."""
    query = "histogram_quantile(0.95, sum by (le) (rate(surge_seconds_bucket[30s])))"
    return {
        "apiVersion": "trimtab.dev/v1alpha1",
        "kind": "PerformanceConfig",
        "metadata": {"name": NAME},
        "spec": {
            "targetRef": {"kind": "Deployment", "name": NAME},
            "monitoring": {
                "sampleRate": 12,
                "metrics": [{"name": "totalLatency", "query": query, "unit": "seconds"}],
            },
            "optimization": {
                "autoTune": True,
                "targetMetrics": {"totalLatency": str(TARGET)},
                "constraints": {
                    "replicas": {"min": PODS, "max": 2 * PODS},
                    "containers": [{"name": "app", "cpu": {"min": "50m", "max": MOST}}],
                },
                "behavior": {"verifySeconds": 30, "minHistorySeconds": 86400},
            },
        },
    }


def quota(bed: Bed, pod: Json) -> float:
    """Cores that the kernel lets a pod's container use: its CFS quota over the period."""
    container = pod["status"]["containerStatuses"][0]["containerID"].removeprefix("containerd://")
    if cgroups.unified():
        (folder,) = (cgroups.ROOT / bed.tag).rglob(container)
        most, period = (folder / "cpu.max").read_text().split()
        return float("inf") if most == "max" else int(most) / int(period)
    (folder,) = (cgroups.ROOT / "cpu" / bed.tag).rglob(container)
    most = (folder / "cpu.cfs_quota_us").read_text()
    return float("inf") if int(most) < 0 else int(most) / int((folder / "cpu.cfs_period_us").read_text())


def quotas(shop: Shop) -> dict[str, float]:
    """Cores by pod, of those whose container runs."""
    found = {}
    for pod in shop.pods(NAME):
        with contextlib.suppress(OSError, ValueError, KeyError, IndexError):
            found[pod["metadata"]["name"]] = quota(shop.bed, pod)
    return found


@dataclass
class Customers:
    """Requests to the ready pods in turn, as many a second as asked for, whether they are answered or not."""

    shop: Shop
    rate: float = 0.0
    """Requests a second in all."""
    answered: list[tuple[float, float]] = field(default_factory=list)
    """When each was sent (time.monotonic) and how long it took; infinite: no answer within 5 s."""
    _addresses: list[str] = field(default_factory=list)
    _done: threading.Event = field(default_factory=threading.Event)

    def _follow(self) -> None:
        while not self._done.wait(2.0):
            with contextlib.suppress(Exception):
                self._addresses = [p["status"]["podIP"] for p in self.shop.pods(NAME) if ready(p)]

    def _send(self) -> None:
        turn, due = 0, time.monotonic()
        with ThreadPoolExecutor(96) as pool:
            while not self._done.is_set():
                rate, now = self.rate, time.monotonic()
                if rate <= 0 or not self._addresses:
                    due = now + 0.05
                    self._done.wait(0.05)
                    continue
                due = max(due + 1.0 / rate, now - 1.0)
                self._done.wait(max(0.0, due - now))
                turn += 1
                pool.submit(self._ask, self._addresses[turn % len(self._addresses)])
            pool.shutdown(cancel_futures=True)

    def _ask(self, address: str) -> None:
        began, took = time.monotonic(), float("inf")
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://{address}:8000/", timeout=5).read()
            took = time.monotonic() - began
        self.answered.append((began, took))

    @contextmanager
    def coming(self) -> Iterator[Customers]:
        """Send requests while the block runs."""
        threads = [threading.Thread(target=work, daemon=True) for work in (self._follow, self._send)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._done.set()
            for thread in threads:
                thread.join(20)


def prepare(shop: Shop) -> None:
    """The workload, running, and its PerformanceConfig."""
    shop.apply(workload())
    shop.kubectl("rollout", "status", f"deployment/{NAME}", "--timeout=180s", timeout=200)
    shop.apply(config())


def loan(shop: Shop) -> dict[str, Any]:
    """What the profile says is lent; empty: nothing."""
    found: dict[str, Any] = shop.entry(NAME).get("lent", {})
    return found


def told(shop: Shop, reason: str) -> list[Json]:
    """Decisions of this reason, oldest first."""
    return [d for d in reversed(shop.decisions(NAME)) if d["reason"] == reason]


def says(shop: Shop) -> str:
    """The decisions, for an error."""
    return json.dumps(shop.decisions(NAME), indent=1)
