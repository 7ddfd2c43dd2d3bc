"""Cost: hourly blocks of what was paid and served, unit costs, and savings with an interval against one's own baseline.

The unit cost of a period is a ratio, R = Σ cost / Σ requests, over blocks of an hour; its variance is that of a ratio
estimator, Σ(c − R·r)² / (n·(n − 1)·r̄²) (Cochran, Sampling Techniques, 3rd ed., 6.4), inflated because one hour is much
like the next. Savings = requests·(R of the baseline − R now): nothing unless the interval leaves zero out. Without a
rate of requests the unit is an hour. The baseline is the time before the first move, history read back included.
"""

from dataclasses import dataclass

import numpy as np

from trimtab.decide.columns import B1, F8, I8
from trimtab.decide.observation import Observation
from trimtab.decide.plan import CostPlan, SavingsVerdict
from trimtab.decide.settings import DAY, HOUR, Settings
from trimtab.decide.standing import CostMemory

MONTH_HOURS = 730.0
# Places of the sums over blocks.
COUNT, COST, UNITS, COST_COST, COST_UNITS, UNITS_UNITS, CPU, MEMORY, NODES = range(9)


@dataclass(frozen=True, slots=True)
class PastCosts:
    """Blocks of an hour before the first move; `row` is a place in `keys`."""

    keys: tuple[str, ...]
    row: I8
    cost: F8
    """An hour."""
    requests: F8
    """In the hour; NaN: not known."""
    cpu: F8
    memory: F8
    """Cores and bytes requested."""


def measure(seen: Observation, held: CostMemory, restarted: B1, settings: Settings) -> None:
    """Take in the cost of this tick; a block that ends goes to the baseline, or after the first move to the rest.

    A new pod template is another baseline: its requests were another decision.
    """
    w, now = seen.workloads, seen.now
    _blank(held, restarted)
    number = int(now // HOUR)
    ended = (held.block != number) & (held.block > 0)
    _close(held, ended, settings)
    for name in ("seconds", "cost", "requests", "cpu", "memory", "nodes"):
        getattr(held, f"block_{name}")[held.block != number] = 0.0
    held.block[:] = number
    span = np.where(np.isnan(held.at), 0.0, np.minimum(now - held.at, settings.cost_gap))
    held.at[:] = now
    known = np.isfinite(w.cost_per_hour) & (span > 0) & _same_prices(seen, held)
    served = np.isfinite(w.arrival_rate)
    # A rate that is known for the first time makes requests the unit from now on.
    turned = served & ~held.by_requests
    held.baseline[turned] = held.actual[turned] = 0.0
    held.by_requests[turned] = True
    counted = known & (served | ~held.by_requests)
    for name, values in (
        ("seconds", np.ones(len(w))),
        ("cost", w.cost_per_hour / HOUR),
        ("requests", np.where(served, w.arrival_rate, 0.0)),
        ("cpu", w.cost_cpu),
        ("memory", w.cost_memory),
        ("nodes", w.nodes_cost / HOUR),
    ):
        getattr(held, f"block_{name}")[counted] += (values * span)[counted]
    held.moved[known & w.tuned] = True
    first = known & np.isnan(held.mean)
    held.mean[first] = w.cost_per_hour[first]
    share = -np.expm1(-span / DAY)
    held.mean[known] += (share * (w.cost_per_hour - held.mean))[known]


def _same_prices(seen: Observation, held: CostMemory) -> B1:
    """bool[W]: the cost is at the prices that the sums are in.

    Prices of another source would look like a saving or a loss. They are left out for a day, as an exporter may come
    back; after that everything begins anew at the new ones.
    """
    w = seen.workloads
    priced = np.isfinite(w.cost_per_hour) & (w.prices > 0)
    other = priced & (held.prices > 0) & (held.prices != w.prices)
    held.other_since[priced & ~other] = np.nan
    begun = other & np.isnan(held.other_since)
    held.other_since[begun] = seen.now
    lasting = other & (seen.now - held.other_since >= DAY)
    held.baseline[lasting] = held.actual[lasting] = 0.0
    held.mean[lasting] = held.other_since[lasting] = np.nan
    taken = lasting | (priced & (held.prices == 0))
    held.prices[taken] = w.prices[taken]
    return np.asarray(~other | lasting, dtype=bool)


def _blank(held: CostMemory, rows: B1) -> None:
    held.baseline[rows] = held.actual[rows] = 0.0
    held.moved[rows] = False


def _close(held: CostMemory, rows: B1, settings: Settings) -> None:
    """Put the block of these rows where it belongs, if enough of it is known."""
    full = rows & (held.block_seconds >= 0.5 * HOUR)
    scale = np.where(full, HOUR / np.maximum(held.block_seconds, 1.0), 0.0)
    units = np.where(held.by_requests, held.block_requests * scale, 1.0)
    block = _block(
        held.block_cost * scale,
        units,
        held.block_cpu * scale / HOUR,
        held.block_memory * scale / HOUR,
        held.block_nodes * scale,
    )
    before = full & ~held.moved
    held.baseline[before] += block[before]
    after = full & held.moved
    held.actual[after] = held.actual[after] * 0.5 ** (HOUR / settings.savings_half_life) + block[after]


def _block(cost: F8, units: F8, cpu: F8, memory: F8, nodes: F8) -> F8:
    """float64[rows, 9]: the sums that one block adds."""
    one = np.ones(len(cost))
    return np.stack([one, cost, units, cost * cost, cost * units, units * units, cpu, memory, nodes], axis=1)


def learn(seen: Observation, held: CostMemory, past: PastCosts) -> None:
    """Put blocks of history into the baselines, in place; not where there is one, nor after a move."""
    places = {key: row for row, key in enumerate(seen.workloads.key)}
    owner = np.array([places.get(key, -1) for key in past.keys], dtype=np.int64)
    for place, w in enumerate(owner):
        if w < 0 or held.moved[w] or held.baseline[w, COUNT] > 0:
            continue
        rows = past.row == place
        known = rows & np.isfinite(past.cost)
        with_rate = known & np.isfinite(past.requests)
        by_requests = bool(with_rate.any())
        if held.by_requests[w] and not by_requests:
            continue  # what was served then is not known, and now it is: they can't be compared
        chosen = with_rate if by_requests else known
        held.by_requests[w] = by_requests
        units = past.requests[chosen] if by_requests else np.ones(int(chosen.sum()))
        nodes = np.zeros(int(chosen.sum()))
        held.baseline[w] = _block(past.cost[chosen], units, past.cpu[chosen], past.memory[chosen], nodes).sum(axis=0)


def restore(held: CostMemory, w: int, baseline: F8, actual: F8, by_requests: bool, settings: Settings) -> None:
    """Go on from what a status says: rows of `CostPlan.baseline` and `actual`.

    The blocks' own spread is made up so that the standard error comes out as it was.
    """
    for name, told in (("baseline", baseline), ("actual", actual)):
        count, cost, units, error, cpu, memory, nodes = told
        if not count > 0 or not units > 0:
            continue
        ratio, mean = cost / units, units / count
        spread = error**2 / settings.cost_inflation * count * max(count - 1, 1.0) * mean**2
        sums = (count, cost, units, ratio**2 * count * mean**2 + spread, ratio * count * mean**2, count * mean**2)
        getattr(held, name)[w] = (*sums, cpu * count, memory * count, nodes * count)
    held.by_requests[w] = by_requests
    held.moved[w] = actual[COUNT] > 0


def unit(sums: F8, inflation: float) -> tuple[F8, F8]:
    """Unit cost and its standard error of each row of sums; NaN where there are too few blocks."""
    count, cost, units = sums[:, COUNT], sums[:, COST], sums[:, UNITS]
    usable = (count >= 2) & (units > 0)
    ratio = np.where(usable, cost / np.where(usable, units, 1.0), np.nan)
    spread = np.maximum(sums[:, COST_COST] - 2 * ratio * sums[:, COST_UNITS] + ratio**2 * sums[:, UNITS_UNITS], 0.0)
    mean = units / np.maximum(count, 1.0)
    variance = inflation * spread / (np.maximum(count * (count - 1), 1.0) * mean**2)
    return ratio, np.sqrt(variance)


def plan(seen: Observation, held: CostMemory, settings: Settings) -> CostPlan:
    """What is told of costs and savings."""
    before, error_before = unit(held.baseline, settings.cost_inflation)
    after, error_after = unit(held.actual, settings.cost_inflation)
    monthly = MONTH_HOURS * held.actual[:, UNITS] / np.maximum(held.actual[:, COUNT], 1e-9)
    saved = monthly * (before - after)
    reach = settings.cost_sigmas * monthly * np.hypot(error_before, error_after)
    ready = (held.baseline[:, COUNT] >= settings.cost_blocks) & (held.actual[:, COUNT] >= settings.cost_blocks)
    ready &= np.isfinite(saved)
    verdict = np.empty(len(held), dtype=object)
    verdict.fill(SavingsVerdict.NO_BASELINE)
    verdict[held.baseline[:, COUNT] > 0] = SavingsVerdict.LEARNING
    verdict[ready] = SavingsVerdict.INCONCLUSIVE
    verdict[ready & (saved - reach > 0)] = SavingsVerdict.SAVES
    verdict[ready & (saved + reach < 0)] = SavingsVerdict.COSTS_MORE
    sure = (verdict == SavingsVerdict.SAVES) | (verdict == SavingsVerdict.COSTS_MORE)
    freed = [np.where(ready, _freed(held.baseline, held.actual, place), np.nan) for place in (CPU, MEMORY)]
    nodes = [sums[:, NODES] / np.maximum(sums[:, COUNT], 1e-9) for sums in (held.baseline, held.actual)]
    billed = ready & (nodes[0] > 0) & (nodes[1] > 0)
    return CostPlan(
        mean=held.mean.copy(),
        budget_used=np.where(
            np.isfinite(seen.workloads.monthly_budget), held.mean * MONTH_HOURS / seen.workloads.monthly_budget, 0.0
        ),
        verdict=verdict,
        by_requests=held.by_requests.copy(),
        saved=np.where(sure, saved, np.where(ready, 0.0, np.nan)),
        low=np.where(ready, saved - reach, np.nan),
        high=np.where(ready, saved + reach, np.nan),
        freed_cpu=freed[0],
        freed_memory=freed[1],
        bill_reduced=np.where(billed, MONTH_HOURS * (nodes[0] - nodes[1]), np.nan),
        baseline=_told(held.baseline, before, error_before),
        actual=_told(held.actual, after, error_after),
    )


def _freed(baseline: F8, actual: F8, place: int) -> F8:
    """What the present work would have had requested at the baseline's ratio, less what it has."""
    work = actual[:, UNITS] / np.maximum(actual[:, COUNT], 1e-9)
    then = np.where(baseline[:, UNITS] > 0, baseline[:, place] / np.maximum(baseline[:, UNITS], 1e-300), np.nan)
    return np.asarray(work * then - actual[:, place] / np.maximum(actual[:, COUNT], 1e-9), dtype=np.float64)


def _told(sums: F8, ratio: F8, error: F8) -> F8:
    """float64[rows, 7]: hours, cost, units, standard error, and means of cores, bytes and the bill of the nodes."""
    count = np.maximum(sums[:, COUNT], 1e-9)
    means = [sums[:, place] / count for place in (CPU, MEMORY, NODES)]
    return np.stack([sums[:, COUNT], sums[:, COST], sums[:, UNITS], error, *means], axis=1)
