"""The bank: which price of an overrun a container is run at, so that it is never overrun more than under VPA.

Every arm (a price, a price capped at VPA, a stretched safest level, VPA itself) is run in shadow with a ration of
changes of its own, so that all of them are known without being tried. Overruns that VPA would have had and we did not
are credit; an arm may be followed when its excess of overruns over VPA's would use up no more than the credit within
`bank_horizon`, or, where VPA's overruns are too rare to be compared, when usage was never even close to its level. Of
these the one with least slack is followed. Where there is none, credit is built: by the arm with the fewest overruns.
No arm with more slack than VPA is ever chosen, so VPA's slack is what the whole costs at worst.
"""

import numpy as np

from trimtab.decide.columns import B1, F8
from trimtab.decide.estimator import hold
from trimtab.decide.estimator.experts import decay
from trimtab.decide.estimator.price import at_risk
from trimtab.decide.estimator.table import CAPPED, F4, STRETCHED, VPA, Levels
from trimtab.decide.settings import Settings

_HOUR = 3600.0
_DAY = 86400.0
_TINY = np.float32(1e-7)
_CAPPED = list(CAPPED)


def account(p: Levels, usage: F4, passed: F8, rate: F4, settings: Settings) -> None:
    """Charge every arm, VPA and the level in force with one minute's usage, in place."""
    seconds = np.clip(passed, 1.0, 3600.0)
    ripe = _ripe(p, settings)
    per_day = (seconds / _DAY).astype(np.float32)
    share = np.maximum(1 - decay(seconds, settings.bank_half_life), per_day / np.maximum(p.known, per_day))
    days = np.maximum(p.known - np.float32(settings.bank_after_days), per_day)
    ripe_share = np.where(ripe, np.maximum(1 - decay(seconds, settings.bank_half_life), per_day / days), 0)
    ripe_share = np.minimum(ripe_share, 1)[:, None].astype(np.float32)
    mean = p.mean_day + np.float32(1e-12)
    known = np.isfinite(p.level)
    unused = np.where(known, np.maximum(p.level - usage[:, None], 0) / mean[:, None], p.slack)
    p.slack[:] += share[:, None] * (unused - p.slack)
    over_vpa = (usage > p.vpa)[:, None]
    over = usage[:, None] > p.level
    above = usage * np.float32(1 + settings.bank_clearance)
    reach = above[:, None] > p.level
    over[:, VPA:], reach[:, VPA:] = over_vpa, (above > p.vpa)[:, None]
    p.excess[:] += ripe_share * (over.astype(np.float32) - over_vpa - p.excess)
    p.close[:] += ripe_share * (reach.astype(np.float32) - over_vpa - p.close)
    p.vpa_rate[:] += ripe_share[:, 0] * (over_vpa[:, 0] - p.vpa_rate)
    kept = decay(seconds, settings.credit_half_life)
    own = usage > p.wanted
    p.over[:] = np.where(own, np.minimum(p.over + 1, 100), 0)
    gain = np.float32(settings.credit_share) * over_vpa[:, 0] - own
    p.credit[:] = p.credit * kept + np.where(ripe, gain, 0)
    p.vpa_count[:] = p.vpa_count * kept + np.where(ripe, over_vpa[:, 0], 0)
    more = (np.maximum(p.vpa - usage, 0) - np.maximum(p.wanted - usage, 0)) / mean * per_day
    p.saved[:] = p.saved * kept + np.where(ripe & np.isfinite(more), more, 0)
    declared = np.isfinite(rate) & np.isfinite(p.wanted)
    pull = np.float32(settings.rate_gain) * per_day * (own / np.where(declared, rate, 1) - 1)
    p.drift[:] = np.clip(p.drift - np.where(declared, pull, 0), -5, 3)


def _ripe(p: Levels, settings: Settings) -> B1:
    """Whether VPA has seen enough to be a yardstick."""
    return np.asarray((p.known > settings.bank_after_days) & np.isfinite(p.vpa))


def wants(p: Levels, priced: F4, safest: F4) -> F4:
    """What every arm asks for now, cores, float32[n, arms]; `safest`: the level of the smallest risk."""
    above = [safest * np.float32(factor) for factor in STRETCHED]
    stretched = [np.stack((level, np.minimum(level, p.vpa)), axis=1) for level in above]
    capped = np.minimum(priced[:, _CAPPED], p.vpa[:, None])
    return np.concatenate((priced, capped, *stretched, p.vpa[:, None]), axis=1)


def run(p: Levels, at: F8, usage: F4, passed: F8, curve: F4, priced: F4, rate: F4, settings: Settings) -> None:
    """Move the arms, choose among them once an hour, and set the level that is asked for, in place.

    `rate`: the declared share of minutes with an overrun; NaN: no more overruns than VPA. An arm that is overrun again
    and again, and asks for no more, is left at once for the cheapest price that covers usage.
    """
    wanted = wants(p, priced, curve[:, -1])
    is_vpa = np.arange(wanted.shape[1]) == VPA
    hold.move(p.level, p.tokens, wanted, passed[:, None], settings, is_vpa[None, :])
    hour = (at // _HOUR).astype(np.int64)
    due = np.flatnonzero(hour != p.judged)
    if len(due):
        p.arm[due] = _choose(p, due, settings)
        p.judged[due] = hour[due]
    rows = np.arange(len(at))
    left = np.flatnonzero((p.over >= settings.overrun_minutes) & (wanted[rows, p.arm] < usage))
    if len(left):
        covers = np.where(priced[left] >= usage[left, None], priced[left], np.inf)
        p.arm[left] = np.where(np.isfinite(covers).any(axis=1), covers.argmin(axis=1), priced.shape[1] - 1)
    level = wanted[rows, p.arm]
    young = p.known < settings.bank_after_days
    level = np.where(young, np.fmax(level, p.blocks.max(axis=1) * np.float32(1.15)), level)
    declared = np.isfinite(rate)
    if declared.any():
        risk = np.log(np.where(declared, rate, 0.5)).astype(np.float32) + p.drift
        level = np.where(declared, at_risk(curve, risk), level)
    follows = (p.arm == VPA) & ~declared & ~young
    hold.move(p.wanted, p.wanted_tokens, level.astype(np.float32), passed, settings, follows)


def _choose(p: Levels, rows: np.ndarray[tuple[int], np.dtype[np.int64]], settings: Settings) -> F4:
    """The arm of each of these rows for the next hour."""
    slack, excess, credit = p.slack[rows], p.excess[rows], p.credit[rows]
    held = p.arm[rows].astype(np.int64)
    per_minute = np.maximum(p.known[rows], np.float32(1e-6)) / np.maximum(p.steps[rows], 1)
    reserve = np.float32(settings.bank_reserve) + np.float32(settings.bank_reserve_noise) * np.sqrt(p.vpa_count[rows])
    allowed = (credit - reserve) * per_minute / np.float32(settings.bank_horizon / _DAY)
    rate = p.vpa_rate[rows]
    allowed = np.clip(allowed, -rate, np.float32(settings.bank_most) * rate) - _TINY * (credit < reserve)
    if settings.equal_slack:
        fine = slack <= (slack[:, VPA] + p.saved[rows] / np.float32(settings.bank_horizon / _DAY))[:, None]
        cost = excess + 1e-4 * slack
    else:
        rare = (credit >= 0) & (p.vpa_count[rows] <= settings.bank_rare)
        fine = (excess <= allowed[:, None]) | ((p.close[rows] <= 1e-9) & rare[:, None])
        fine[:, VPA] |= rare
        fine &= slack <= slack[:, VPA:]
        cost = slack
    none = ~fine.any(axis=1)
    doubt = np.float32(settings.bank_close_weight * settings.bank_close_count) / (
        settings.bank_close_count + p.vpa_count[rows]
    )
    build = excess + doubt[:, None] * p.close[rows] + (np.float32(settings.bank_slack_weight) * rate)[:, None] * slack
    build = np.where(slack <= slack[:, VPA:], build, np.inf)
    best = np.where(none, build.argmin(axis=1), np.where(fine, cost, np.inf).argmin(axis=1))
    at = np.arange(len(rows))
    better = ~fine[at, held] | (cost[at, best] < cost[at, held] * np.float32(1 - settings.bank_gain))
    better &= ~none | (build[at, best] < build[at, held])
    best = np.where(better, best, held)
    return np.where(p.known[rows] < settings.bank_after_days + 0.5, VPA, best)
