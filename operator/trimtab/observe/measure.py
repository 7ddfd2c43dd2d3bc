"""Numbers of one workload out of its namespace's readings. What was not measured is NaN or left out, never zero."""

import math
import statistics
from collections.abc import Iterable, Sequence

from trimtab.api.answers import REASONS, Answer, AnswerKind, no_value
from trimtab.kube.records import PodRecord
from trimtab.observe.answers import failed
from trimtab.observe.board import Kept
from trimtab.observe.builtin import BY_POD, Builtin, Readings
from trimtab.observe.usage import SLOW_SECONDS, cpu_window
from trimtab.observe.view import View

BUILT_IN_PARTS: dict[str, tuple[Builtin, ...]] = {
    "cpuUsage": (Builtin.CPU,),
    "memoryUsage": (Builtin.MEMORY,),
    "diskUsage": (Builtin.FS_READS, Builtin.FS_WRITES),
    "networkUsage": (Builtin.RECEIVED, Builtin.TRANSMITTED),
}
"""Built-in metrics and what they are the sum of, over the pods."""
_SCRAPE = "check that it scrapes the kubelets' /metrics/cadvisor"
ABSENT = {
    "diskUsage": f"containers that used no block device have none, otherwise {_SCRAPE}",
    "networkUsage": f"pods on their node's network have none, otherwise {_SCRAPE}",
}
"""What to make of it when a built-in metric has no series although all is well; the others always have some."""
MIN_KNOWN_SHARE = 0.5
"""A total is estimated from the pods that were measured when these are at least this share of them."""

_LONGEST_START = 3600.0
IDLE_CORES = 0.05
"""Mean CPU of a pod below which one pod's share says nothing about the others'."""


def is_fresh(view: View, kept: Kept[dict[Builtin, Readings]] | None, now: float) -> bool:
    """Whether readings are recent enough to be used."""
    if kept is None or kept.result is None or view.plans.datasource is None:
        return False
    pace = max(view.interval, SLOW_SECONDS) if kept is view.slow else view.interval
    return now - kept.at <= 2.0 * pace + 2.0 * view.plans.datasource.scrape_interval_seconds


def fast_readings(view: View, builtin: Builtin, now: float) -> dict[tuple[str, str], float]:
    """Readings of CPU, memory or throttling by pod and container; none when they are too old."""
    if not is_fresh(view, view.fast, now) or view.fast is None or view.fast.result is None:
        return {}
    found = view.fast.result.get(builtin)
    return found.values if found is not None else {}


def slow_readings(view: View, builtin: Builtin, now: float) -> dict[tuple[str, str], float]:
    """Readings of OOM kills, disk and network."""
    if not is_fresh(view, view.slow, now) or view.slow is None or view.slow.result is None:
        return {}
    found = view.slow.result.get(builtin)
    return found.values if found is not None else {}


def has_full_window(view: View, pod: PodRecord, at: float) -> bool:
    """Whether a pod has run for the whole window that its CPU is averaged over."""
    return at - max(pod.started, pod.created) >= _window(view)


def _served_full_window(view: View, pod: PodRecord, at: float) -> bool:
    return at - pod.ready_since >= _window(view)


def _window(view: View) -> float:
    return cpu_window(view.plans.datasource) if view.plans.datasource is not None else 0.0


def startup_seconds(pods: Sequence[PodRecord]) -> float:
    """Seconds from creation until ready, the median of the ready pods; NaN: none is.

    A pod that became ready an hour or more after its creation had lost its readiness meanwhile, and is left out.
    """
    took = [pod.ready_since - pod.created for pod in pods if pod.ready and pod.ready_since > 0 and pod.created > 0]
    took = [seconds for seconds in took if 0 <= seconds < _LONGEST_START]
    return statistics.median(took) if took else math.nan


def pod_cpu(view: View, pod: PodRecord, values: dict[tuple[str, str], float]) -> float:
    """Cores that the measured containers of a pod use; NaN unless all of them were measured."""
    return math.fsum(values.get((pod.name, name), math.nan) for name in view.measured) if view.measured else math.nan


def workload_cpu(view: View, now: float) -> float:
    """Cores that all ready pods use, trial pods included.

    A pod that was not measured, or not for a full window yet, counts as the mean of the others: leaving it out would
    say that there is less load just when pods are added. NaN when fewer than half were measured.
    """
    values = fast_readings(view, Builtin.CPU, now)
    pods = [pod for pod in (*view.live, *view.live_trials) if pod.ready]
    if not values or not pods or view.fast is None:
        return math.nan
    at = view.fast.at
    known = [number for pod in pods if has_full_window(view, pod, at) for number in [pod_cpu(view, pod, values)]]
    known = [number for number in known if not math.isnan(number)]
    if not known or len(known) < MIN_KNOWN_SHARE * len(pods):
        return math.nan
    return math.fsum(known) / len(known) * len(pods)


def imbalance(view: View, now: float) -> float:
    """CPU of the busiest ready pod over the mean of the ready pods, 1 where they are idle or fewer than two.

    Pods without a full window are left out; NaN when fewer than half of the others were measured.
    """
    values = fast_readings(view, Builtin.CPU, now)
    if view.fast is None:
        return math.nan
    pods = [pod for pod in view.live if pod.ready and has_full_window(view, pod, view.fast.at)]
    if len(pods) < 2:
        return 1.0
    known = [number for number in (pod_cpu(view, pod, values) for pod in pods) if not math.isnan(number)]
    if len(known) < MIN_KNOWN_SHARE * len(pods):
        return math.nan
    mean = math.fsum(known) / len(known)
    return max(known) / mean if mean >= IDLE_CORES else 1.0


def cpu_per_request(view: View, pods: Iterable[PodRecord], rate: float, now: float) -> float:
    """CPU seconds a request over these pods; NaN without a rate or with a pod that was not measured.

    Until a pod has been ready for a full window, what its start used is in the mean: it counts as not measured.
    """
    values = fast_readings(view, Builtin.CPU, now)
    if not rate > 0 or view.fast is None:
        return math.nan
    at = view.fast.at
    used = (pod_cpu(view, pod, values) if _served_full_window(view, pod, at) else math.nan for pod in pods)
    return math.fsum(used) / rate


def working_set(view: View, container: str, now: float) -> float:
    """Largest working set of a container over the pods, bytes; NaN when none was measured."""
    values = fast_readings(view, Builtin.MEMORY, now)
    return _largest(values.get((pod.name, container), math.nan) for pod in (*view.live, *view.live_trials))


def throttled(view: View, container: str, now: float) -> float:
    """Share of CPU periods throttled, mean over the ready pods that were measured; NaN when none was."""
    values = fast_readings(view, Builtin.THROTTLED, now)
    known = [values[(pod.name, container)] for pod in view.live if pod.ready and (pod.name, container) in values]
    return math.fsum(known) / len(known) if known else math.nan


def built_in_answers(view: View, now: float) -> dict[str, Answer]:
    """cpuUsage, memoryUsage, diskUsage and networkUsage, summed over all containers of all pods."""
    return {name: _sum(view, name, parts, now) for name, parts in BUILT_IN_PARTS.items()}


def _sum(view: View, name: str, parts: Sequence[Builtin], now: float) -> Answer:
    source = view.source
    kept = view.fast if name in ("cpuUsage", "memoryUsage") else view.slow
    if view.plans.datasource is None:
        return no_value(
            AnswerKind.ERROR,
            f"No datasource is called {source}; use a name of datasources in the chart's values.",
            reason="DatasourceUnknown",
        )
    if kept is None or kept.result is None:
        if kept is not None and kept.error is not None:
            return failed(kept.error)
        return no_value(
            AnswerKind.EMPTY, f"Datasource {source} has not answered yet; the answer is taken when it comes."
        )
    if kept.error is not None:
        return no_value(AnswerKind.ERROR, kept.error.message, kept.at, kept.error.reason.value)
    containers = tuple(view.forces)
    total, stale = 0.0, False
    measured: set[str] = set()
    for part in parts:
        found = kept.result.get(part)
        if found is None:
            continue
        for pod in (*view.live, *view.live_trials):
            for container in ("",) if part in BY_POD else containers:
                value = found.values.get((pod.name, container))
                if value is not None:
                    total += value
                    measured.add(pod.name)
                elif not stale:
                    stale = found.kinds.get((pod.name, container)) is AnswerKind.STALE
    where = f"pods of {view.target.kind} {view.target.name} in datasource {source}"
    if measured and is_fresh(view, kept, now):
        return _total(total, len(measured), _unmeasured(view, kept, measured), where, kept.at)
    if measured or stale:
        return no_value(
            AnswerKind.STALE, f"The samples of {where} are old; check that the kubelets are scraped.", kept.at
        )
    return no_value(AnswerKind.EMPTY, f"There is no series of {where}; {ABSENT.get(name, _SCRAPE)}.", kept.at)


def _unmeasured(view: View, kept: Kept[dict[Builtin, Readings]], measured: set[str]) -> int:
    """Ready pods without a reading of CPU or memory, which every container has; disk and network it may not have."""
    if kept is not view.fast:
        return 0
    return sum(1 for pod in (*view.live, *view.live_trials) if pod.ready and pod.name not in measured)


def _total(total: float, measured: int, unmeasured: int, where: str, at: float) -> Answer:
    """A sum over the pods; those that were not measured count as the mean of the others, as in `workload_cpu`."""
    pods = measured + unmeasured
    if measured < MIN_KNOWN_SHARE * pods:
        return no_value(
            AnswerKind.EMPTY,
            f"Only {measured} of {pods} {where} have samples; check that all kubelets are scraped.",
            at,
        )
    said = "Summed over the pods."
    if unmeasured:
        said = f"Summed over {measured} of {pods} pods; the others count as their mean."
    return Answer(AnswerKind.VALUE, total * pods / measured, REASONS[AnswerKind.VALUE], said, at)


def _largest(values: Iterable[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return max(known, default=math.nan)
