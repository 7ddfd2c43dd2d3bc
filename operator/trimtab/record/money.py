"""Costs and savings as the status shows them."""

import math

from trimtab.api.quantity import Quantity, format_cpu, format_memory
from trimtab.api.status import CostStatus, Resources, Savings, UnitCost
from trimtab.decide.plan import SavingsVerdict
from trimtab.record.facts import CostFact, UnitCostFact

MONTH_HOURS = 730.0


def money(value: float) -> Quantity:
    """An amount of money as people write it: two decimals below a thousand, none above; small ones in three digits."""
    if value != 0 and abs(value) < 0.1:
        text = f"{value:.{min(9, 2 - math.floor(math.log10(abs(value))))}f}".rstrip("0").rstrip(".")
        return Quantity("0" if text in ("", "-", "-0", "0") else text)
    return Quantity(f"{value:.2f}" if abs(value) < 1000 else f"{min(max(value, -1e17), 1e17):.0f}")


def cost_of(fact: CostFact) -> CostStatus:
    """What the costs are made of."""
    return CostStatus(
        currency=fact.currency,
        prices=fact.prices,
        cpu_hour=_price(fact.cpu_hour),
        memory_gib_hour=_price(fact.memory_gib_hour),
        per_month=_money(fact.mean * MONTH_HOURS),
        budget_used=_money(fact.budget_used) if fact.budget_used > 0 else None,
        problems=[problem[:1024] for problem in fact.problems[:8]],
    )


def savings_of(fact: CostFact) -> Savings:
    """What is saved. Where more is requested than before, no capacity is freed."""
    freed = Resources(
        cpu=Quantity(format_cpu(fact.freed_cpu)) if fact.freed_cpu > 0 else None,
        memory=Quantity(format_memory(fact.freed_memory)) if fact.freed_memory > 0 else None,
    )
    return Savings(
        summary=_summary(fact),
        verdict=fact.verdict,
        unit="Requests" if fact.by_requests else "Hours",
        per_month=_money(fact.saved),
        low=_money(fact.low),
        high=_money(fact.high),
        capacity_freed=freed if freed.cpu is not None or freed.memory is not None else None,
        cluster_bill_reduced_per_month=_money(fact.bill_reduced),
        baseline=_unit_cost(fact.baseline),
        actual=_unit_cost(fact.actual),
    )


def _summary(fact: CostFact) -> str:
    match fact.verdict:
        case SavingsVerdict.SAVES | SavingsVerdict.COSTS_MORE:
            return f"{money(fact.saved)} {fact.currency}/month"
        case SavingsVerdict.INCONCLUSIVE:
            return "0 (inconclusive)"
        case SavingsVerdict.LEARNING:
            return "learning"
    return "no baseline"


def _unit_cost(fact: UnitCostFact) -> UnitCost | None:
    if not fact.hours > 0.5:
        return None
    return UnitCost(
        hours=_exact(fact.hours),
        cost=_exact(fact.cost),
        units=_exact(fact.units),
        error=_exact(fact.error if math.isfinite(fact.error) else 0.0),
        cpu=_exact(fact.cpu),
        memory=_exact(fact.memory),
        nodes=_exact(fact.nodes),
    )


def _exact(value: float) -> Quantity:
    """Six digits, so that a restart goes on from nearly the same; in powers of ten where the number is small."""
    if value == 0:
        return Quantity("0")
    digits = math.floor(math.log10(abs(value)))
    return Quantity(f"{value / 10.0**digits:.5f}e{digits}")


def _price(value: float) -> Quantity | None:
    """A price of one unit: three digits, also above a tenth, where money has cents."""
    return Quantity(f"{value:.3f}") if 0.1 <= value < math.inf else _money(value)


def _money(value: float) -> Quantity | None:
    return money(value) if math.isfinite(value) else None
