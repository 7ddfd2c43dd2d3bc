"""The changes that would save or help most: what is recommended against what is in force."""

from collections.abc import Iterable, Iterator

from trimtab.api.monitoring import Better
from trimtab.api.quantity import Quantity
from trimtab.api.resource import PerformanceConfig
from trimtab.api.settings import StaticPrices
from trimtab.api.status import AlertState, ContainerResources
from trimtab.audit.model import Change, ChangeKind
from trimtab.record.money import MONTH_HOURS, money

MOST = 5
LEAST = 0.10
"""Smaller relative changes are left, as the engine leaves them (VPA's updater: 10%)."""
GIB = 2.0**30


def most_telling(configs: Iterable[PerformanceConfig], prices: StaticPrices) -> list[Change]:
    """At most MOST changes: raises of workloads that are in trouble first, then by what they save.

    Each is valued at what its resource's own pods cost, and at `prices` where that is not known.
    """
    found = [(_rank(change, worth), change) for config in configs for change, worth in _of(config, prices)]
    return [change for _, change in sorted(found, key=lambda one: one[0])[:MOST]]


def _rank(change: Change, worth: float) -> tuple[int, float, str, str]:
    return (0 if change.kind is ChangeKind.HELPS else 1, -abs(worth), change.resource, change.lever)


def own_prices(config: PerformanceConfig, prices: StaticPrices) -> StaticPrices:
    """What a core and a GiB cost this resource, where its status has that in the same currency; these otherwise."""
    cost = config.status.cost
    if cost is None or cost.currency != prices.currency:
        return prices
    own = {"cpu_hour": cost.cpu_hour, "memory_gib_hour": cost.memory_gib_hour}
    return prices.model_copy(update={name: float(price) for name, price in own.items() if price is not None})


def _of(config: PerformanceConfig, static: StaticPrices) -> Iterator[tuple[Change, float]]:
    """Changes and what each saves a month; raises count only where a target is missed or an alert fires."""
    prices = own_prices(config, static)
    status, name = config.status, config.metadata.name
    trouble = troubles(config)
    now = {one.name: one for one in status.applied.containers}
    replicas = status.applied.replicas or status.replicas or 1
    way = (
        "autoTune is on: Trimtab goes there by itself unless it is held"
        if config.spec.optimization.auto_tune
        else ("autoTune is off: nobody makes it")
    )

    def change(lever: str, before: str, after: str, saved: float) -> tuple[Change, float] | None:
        if saved == 0 or (saved < 0 and not trouble):
            return None
        kind = ChangeKind.SAVES if saved > 0 else ChangeKind.HELPS
        why = "; ".join([*(trouble if saved < 0 else []), way])
        made = Change(
            resource=name,
            lever=lever,
            from_=before,
            to=after,
            kind=kind,
            money_per_month=str(money(abs(saved))),
            why=why,
        )
        return made, saved

    wanted = status.recommendation.replicas
    if wanted and _differs(replicas, wanted):
        pod = sum(_worth(one, prices) for one in now.values())
        if found := change("Replicas", str(replicas), str(wanted), (replicas - wanted) * pod):
            yield found
    for one in status.recommendation.containers:
        held = now.get(one.name)
        if held is None:
            continue
        for what, lever, price in (
            ("cpu", "CPU", prices.cpu_hour * MONTH_HOURS),
            ("memory", "Memory", prices.memory_gib_hour * MONTH_HOURS / GIB),
        ):
            before: Quantity | None = getattr(held.requests, what)
            after: Quantity | None = getattr(one.requests, what)
            if before is None or after is None or not _differs(float(before), float(after)):
                continue
            saved = (float(before) - float(after)) * price * replicas
            if found := change(f"{lever}/{one.name}", str(before), str(after), saved):
                yield found


def _differs(before: float, after: float) -> bool:
    return abs(after - before) > LEAST * before


def _worth(container: ContainerResources, prices: StaticPrices) -> float:
    """What the requests of a container cost a month."""
    cpu = float(container.requests.cpu) if container.requests.cpu else 0.0
    memory = float(container.requests.memory) if container.requests.memory else 0.0
    return MONTH_HOURS * (cpu * prices.cpu_hour + memory / GIB * prices.memory_gib_hour)


def troubles(config: PerformanceConfig) -> list[str]:
    """Targets that are missed and alerts that fire."""
    status = config.status
    values = {**status.metrics.timing, **status.metrics.resources, **status.metrics.costs, **status.metrics.other}
    better = {metric.name: metric.better for metric in config.spec.monitoring.metrics}
    found = []
    for name, limit in sorted(config.spec.optimization.target_metrics.items()):
        value = values.get(name)
        if value is None:
            continue
        higher = better.get(name) is Better.HIGHER
        if float(value) < float(limit) if higher else float(value) > float(limit):
            found.append(f"{name} is {value}, its target is {limit}")
    return found + [f"alert {alert.name} fires" for alert in status.alerts if alert.state is AlertState.FIRING]
