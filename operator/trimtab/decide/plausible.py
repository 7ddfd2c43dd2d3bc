"""Numbers that can't be are not known: they hold capacity instead of taking it away.

A running container uses some CPU and an answered request took some time, so exactly 0 is a broken exporter or a
rewritten series, not a rest (of single containers `estimator.step` says when it is one). In the closed loop an
exporter that said 0 for a quarter of an hour had the pods scaled down in the middle of a surge, with 14% of the
requests over the target.
"""

from dataclasses import replace

import numpy as np

from trimtab.api.answers import AnswerKind
from trimtab.decide.observation import Observation


def plausible(seen: Observation) -> Observation:
    """The Observation with such numbers as unknown: no CPU used by ready pods, a latency of nothing, negative rates."""
    w, targets = seen.workloads, seen.targets
    idle = (w.ready > 0) & (w.cpu_usage <= 0)
    minus = w.arrival_rate < 0
    if idle.any() or minus.any():
        usage = np.where(idle, np.nan, w.cpu_usage)
        rate = np.where(minus, np.nan, w.arrival_rate)
        w = replace(w, cpu_usage=usage, arrival_rate=rate)
    instant = targets.latency & (targets.kind == int(AnswerKind.VALUE)) & (targets.value <= 0)
    if instant.any():
        kind = np.where(instant, int(AnswerKind.NAN), targets.kind)
        targets = replace(targets, kind=kind, value=np.where(instant, np.nan, targets.value))
    return seen if w is seen.workloads and targets is seen.targets else replace(seen, workloads=w, targets=targets)
