"""A preset for a whole namespace at once, by pod: one request serves all its workloads, canaries and baselines."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.api.answers import REASONS, Answer, AnswerKind, no_value
from trimtab.api.datasource import Tenancy
from trimtab.observe.answers import STALE_INTERVALS
from trimtab.observe.companions import newest_sample
from trimtab.observe.presets import Aggregate, Preset, PresetKind
from trimtab.observe.selectors import Triple, duration, written
from trimtab.observe.source import Sample

MAIN = "main"
BELOW = "below"
SAMPLED = "sampled"


@dataclass(frozen=True)
class PresetBatch:
    """The requests for one preset in one namespace, and how to read the results for any set of its pods.

    ``texts`` maps the parts (MAIN, for a ratio BELOW, and SAMPLED for the samples' times) to PromQL; results are
    handed back under the same keys.
    """

    preset: Preset
    namespace: str
    pod_label: str
    tenant_label: str
    scrape_interval: float
    texts: Mapping[str, str]

    @classmethod
    def build(
        cls, preset: Preset, tenancy: Tenancy, namespace: str, scrape_interval: float, window: float | None = None
    ) -> "PresetBatch":
        """The batch over ``window`` seconds (default: the preset's own).

        Raises:
            ValueError: a preset of kind Query, which is asked one workload at a time; or one whose metrics carry
                different tenant labels, or none.
        """
        metrics = _metrics(preset)
        found = {tenancy.labels_for(metric) for metrics_of_part in metrics.values() for metric in metrics_of_part}
        labels = next(iter(found), None)
        if labels is None or len(found) > 1:
            raise ValueError(
                f"preset {preset.name} can't be asked by namespace; its metrics need one tenant label of their own"
            )
        length = duration(preset.window_seconds if window is None else window)
        forced: tuple[Triple, ...] = ((labels.label, "=", namespace), (labels.pod_label, "!=", ""), *preset.extra)

        def selector(metric: str) -> str:
            return f"{metric}{{{','.join(written(matcher) for matcher in forced)}}}"

        by = f"{labels.pod_label}, le" if preset.kind is PresetKind.QUANTILE else labels.pod_label

        def part(names: Sequence[str]) -> str:
            if preset.kind is PresetKind.GAUGE:
                return f"{(preset.aggregate or Aggregate.SUM).lower()} by ({by}) ({selector(names[0])})"
            return " + ".join(f"sum by ({by}) (rate({selector(name)}[{length}]))" for name in names)

        texts = {key: part(names) for key, names in metrics.items()}
        texts[SAMPLED] = newest_sample(selector(metrics[MAIN][0]), scrape_interval, by=labels.pod_label)
        return cls(preset, namespace, labels.pod_label, labels.label, scrape_interval, texts)

    def answer(self, results: Mapping[str, Sequence[Sample]], pods: Collection[str], at: float) -> Answer:
        """The preset's number for some pods, at the evaluation time ``at`` of the results (Unix seconds).

        Pods whose newest sample is older than two scrape intervals are left out; none left is STALE.
        """
        wanted = set(pods)
        times = {pod: time for pod, time in self._by_pod(results.get(SAMPLED, ())) if pod in wanted}
        limit = at - STALE_INTERVALS * self.scrape_interval
        live = {pod: time for pod, time in times.items() if time >= limit}
        if not times:
            return no_value(
                AnswerKind.EMPTY,
                f'No series of preset {self.preset.name} has {self.tenant_label}="{self.namespace}" and one of the '
                f"workload's pods as {self.pod_label}; check that the pods are scraped and carry these labels.",
            )
        if not live:
            newest = max(times.values())
            return no_value(
                AnswerKind.STALE,
                f"The newest sample of preset {self.preset.name} is {at - newest:.0f} s old, more than two scrape "
                f"intervals of {self.scrape_interval:g} s; check that the pods are scraped.",
                newest,
            )
        sampled = min(live.values())
        main = [sample for sample in results.get(MAIN, ()) if sample.labels.get(self.pod_label) in live]
        below = [sample for sample in results.get(BELOW, ()) if sample.labels.get(self.pod_label) in live]
        if not main:
            return no_value(
                AnswerKind.EMPTY,
                f"Preset {self.preset.name} has too few samples in its window yet; wait for two scrapes.",
                sampled,
            )
        value, idle = self._number(main, below)
        if math.isnan(value):
            kind = AnswerKind.NO_TRAFFIC if idle else AnswerKind.NAN
            words = "had no traffic in its window" if idle else "gave NaN; check its buckets"
            return no_value(kind, f"Preset {self.preset.name} {words}.", sampled)
        if math.isinf(value):
            return no_value(AnswerKind.INF, f"Preset {self.preset.name} gave an infinite number.", sampled)
        return Answer(AnswerKind.VALUE, value, REASONS[AnswerKind.VALUE], "One fresh number.", sampled)

    def _by_pod(self, samples: Sequence[Sample]) -> list[tuple[str, float]]:
        return [(sample.labels.get(self.pod_label, ""), sample.value) for sample in samples]

    def _number(self, main: Sequence[Sample], below: Sequence[Sample]) -> tuple[float, bool]:
        """The number, and whether its lack is for want of traffic."""
        values = np.array([sample.value for sample in main], np.float64)
        match self.preset.kind:
            case PresetKind.QUANTILE:
                bounds = np.array([_bound(sample) for sample in main], np.float64)
                value = bucket_quantile(self.preset.quantile or 0.0, bounds, values)
                return value, bool(np.all(values == 0.0))
            case PresetKind.RATIO:
                divisor = sum(sample.value for sample in below)
                return (float(values.sum()) / divisor if divisor else math.nan), bool(below) and divisor == 0.0
            case PresetKind.GAUGE if self.preset.aggregate is Aggregate.MAX:
                return float(values.max()), False
            case PresetKind.GAUGE if self.preset.aggregate is Aggregate.AVG:
                return float(values.mean()), False
        return float(values.sum()), False


def _metrics(preset: Preset) -> dict[str, tuple[str, ...]]:
    match preset.kind:
        case PresetKind.QUANTILE:
            return {MAIN: (f"{preset.metric}_bucket",)}
        case PresetKind.RATIO:
            return {MAIN: preset.numerator, BELOW: preset.denominator}
        case PresetKind.RATE | PresetKind.GAUGE:
            return {MAIN: (preset.metric or "",)}
    return {}


def _bound(sample: Sample) -> float:
    try:
        return float(sample.labels.get("le", "nan"))
    except ValueError:
        return math.nan


def bucket_quantile(q: float, bounds: NDArray[np.float64], counts: NDArray[np.float64]) -> float:
    """The q-quantile of cumulative bucket counts, as Prometheus' histogram_quantile interpolates it.

    ``bounds`` are upper bounds (``le``) and ``counts`` their cumulative rates; equal bounds (of several pods) are
    added up. NaN without a +Inf bucket, with fewer than two buckets, and without observations. Source: bucketQuantile
    in prometheus/promql/quantile.go.
    """
    upper, place = np.unique(bounds[~np.isnan(bounds)], return_inverse=True)
    if upper.size < 2 or not np.isposinf(upper[-1]):
        return math.nan
    cumulative = np.zeros(upper.size)
    np.add.at(cumulative, place, counts[~np.isnan(bounds)])
    # Buckets are scraped one after the other, so that a later one may hold less.
    cumulative = np.maximum.accumulate(cumulative)
    total = float(cumulative[-1])
    if not total > 0.0:
        return math.nan
    rank = q * total
    index = int(np.searchsorted(cumulative, rank, side="left"))
    if index >= upper.size - 1:
        return float(upper[-2])
    if index == 0 and upper[0] <= 0.0:
        return float(upper[0])
    start = float(upper[index - 1]) if index else 0.0
    before = float(cumulative[index - 1]) if index else 0.0
    inside = float(cumulative[index]) - before
    return start + (float(upper[index]) - start) * (rank - before) / inside
