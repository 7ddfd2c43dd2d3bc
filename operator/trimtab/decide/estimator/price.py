"""From a curve of risks to a level: the one that is cheapest when an overrun has a price.

Let Q(a) be the level that is overrun with chance a. A level L = Q(a) leaves E[(L − usage)⁺] unused and costs a·λ·m in
overruns, λ the price and m mean usage. Its minimum is not a fixed risk: where usage is calm a low risk costs little and
is bought, where it is wild it is not (a fixed risk buys it everywhere). Autopilot weighs overruns and slack alike, but
of fixed limits over past samples; here it is the forecast distribution that is weighed. Demand that stays unmet,
E[(usage − L)⁺], is charged as well, so that a wild hour is never answered with no level at all.
"""

import numpy as np

from trimtab.decide.estimator.table import F4, PRICES, RISKS, Levels

_BETWEEN = 3
"""Points from one risk to the next, interpolated in the level and in the logarithm of the risk."""
_UNMET = 3.0
"""What a core of unmet demand costs, in cores unused."""


def _grid() -> tuple[F4, F4, F4]:
    """Matrices from the curve to levels and to their costs, float32[risks, points], and the points' risks."""
    count = len(RISKS)
    place = np.linspace(0.0, count - 1.0, _BETWEEN * (count - 1) + 1)
    first = np.minimum(place.astype(int), count - 2)
    share = place - first
    levels = np.zeros((count, len(place)))
    levels[first, np.arange(len(place))] += 1 - share
    levels[first + 1, np.arange(len(place))] += share
    log = np.log(RISKS.astype(np.float64))
    risks = np.exp(log[first] * (1 - share) + log[first + 1] * share)
    middle = (risks[1:] + risks[:-1]) / 2
    rises = np.diff(levels, axis=1)
    zero = np.zeros((count, 1))
    unused = np.concatenate((zero, np.cumsum(rises * (1 - middle), axis=1)), axis=1)
    unmet = np.concatenate((np.cumsum((rises * middle)[:, ::-1], axis=1)[:, ::-1], zero), axis=1)
    return levels.astype(np.float32), (unused + _UNMET * unmet).astype(np.float32), risks.astype(np.float32)


_LEVELS, _COSTS, _RISKS = _grid()


def priced(p: Levels, curve: F4) -> F4:
    """The cheapest level at each of PRICES, rising, cores, float32[n, prices]."""
    levels, costs = curve @ _LEVELS, curve @ _COSTS
    result = np.empty((len(curve), len(PRICES)), dtype=np.float32)
    rows = np.arange(len(curve))
    for k, price in enumerate(PRICES):
        result[:, k] = levels[rows, np.argmin(costs + (price * p.mean_day)[:, None] * _RISKS, axis=1)]
    return np.asarray(np.maximum.accumulate(result, axis=1), dtype=np.float32)


_LOG = np.log(RISKS)


def at_risk(curve: F4, log_risk: F4) -> F4:
    """The level with this log of a risk, interpolated, cores, float32[n]; past the ends the outermost level."""
    log_risk = np.clip(log_risk, _LOG[-1], _LOG[0])
    first = np.clip((_LOG[None, :] >= log_risk[:, None]).sum(axis=1) - 1, 0, len(RISKS) - 2)
    share = (_LOG[first] - log_risk) / (_LOG[first] - _LOG[first + 1])
    rows = np.arange(len(curve))
    return np.asarray(curve[rows, first] * (1 - share) + curve[rows, first + 1] * share, dtype=np.float32)
