"""What one workload costs now: compute, storage and API tokens, an hour."""

import math
from collections.abc import Collection, Sequence, Set
from statistics import fmean

from trimtab.api.answers import REASONS, Answer, AnswerKind, no_value
from trimtab.api.cost import PriceSource
from trimtab.api.reasons import Reason
from trimtab.kube.records import NodeRecord
from trimtab.observe.asker import Asker
from trimtab.observe.builtin import Builtin
from trimtab.observe.measure import fast_readings
from trimtab.observe.prices import GIB, PriceBook, Prices, Storage, off
from trimtab.observe.spent import Spent
from trimtab.observe.tokens import PRICED, UNPRICED
from trimtab.observe.view import View

MONTH_HOURS = 730.0
API_SECONDS = 60.0
EVERY_SECONDS = 60.0
"""Costs move slowly and are counted pod by pod."""
COMPUTE, STORAGE, API, UNIT = "computeCosts", "storageCosts", "apiCosts", "costPerThousandRequests"


class Spending:
    """Costs of all resources, each looked at once a minute."""

    def __init__(self, book: PriceBook) -> None:
        self._book = book
        self._bills: dict[str, float] = {}
        self._last: dict[str, tuple[float, Spent | None]] = {}

    def begin(self) -> None:
        """Forget what the last tick asked for."""
        self._book.begin()
        self._bills.clear()

    def register(self, view: View, asker: Asker) -> None:
        """Ask for what the costs of this resource need."""
        claims = any(pod.claims for pod in view.live)
        self._book.want(view.source, view.config.namespace, claims=claims)
        for name, meter in view.plans.tokens.items():
            asker.want((view.config.key, "", name), view.source, meter, view.everybody, API_SECONDS)

    def start(self, now: float) -> None:
        """Begin asking what is due; the answers serve the next ticks."""
        self._book.start(now)

    def take(self, view: View, asker: Asker, nodes: Sequence[NodeRecord], now: float) -> None:
        """Put what it costs into the view, and into its metrics where no declared one has the name."""
        at, spent = self._last.get(view.config.key, (-math.inf, None))
        if spent is None or now - at >= EVERY_SECONDS:
            spent = spend(view, asker, self._book, self._bill(view.source, nodes), now)
            self._last[view.config.key] = now, spent
        view.spent = spent
        view.metrics = cost_answers(view, spent, now) | view.metrics

    def forget(self, keys: Collection[str]) -> None:
        """Drop resources that are gone; `keys` are those that are still there."""
        self._last = {key: known for key, known in self._last.items() if key in keys}

    async def close(self) -> None:
        """Give up what is being asked."""
        await self._book.close()

    def _bill(self, source: str, nodes: Sequence[NodeRecord]) -> float:
        """What all nodes of the cluster cost an hour, counted once a tick."""
        if source not in self._bills:
            prices = self._book.prices(source)
            self._bills[source] = prices.bill(nodes) if prices is not None else 0.0
        return self._bills[source]


def spend(view: View, asker: Asker, book: PriceBook, bill: float, now: float) -> Spent | None:
    """What it costs now; None before prices are known. `bill` is what all nodes cost an hour."""
    cost = view.config.spec.cost
    prices = book.prices(view.source) if cost.prices is PriceSource.PROMETHEUS else book.static
    if prices is None:
        return None
    source = "OpenCost" if prices.measured else "Static"
    if cost.currency != prices.static.currency:
        problem = f"Prices are in {prices.static.currency}, this resource counts in {cost.currency}; use one currency."
        return Spent(cost.currency, source, problems=(problem,))
    problems = list(prices.suspect)
    compute, cores, memory = _compute(view, prices, now)
    claims = {claim for pod in (*view.live, *view.live_trials) for claim in pod.claims}
    sizes = book.storage(view.source, view.config.namespace)
    storage, lost = _storage(claims, prices, sizes)
    problems += _dear(claims, prices, sizes)
    if lost:
        problems.append(f"The size of claim {lost} is not known; scrape kube-state-metrics, or the kubelets' /metrics.")
    api, doubts = _api(view, asker, now)
    problems += doubts
    nodes = [pod.node for pod in (*view.live, *view.live_trials) if pod.node] or [""]
    return Spent(
        cost.currency,
        source,
        compute,
        storage,
        api,
        cores,
        memory,
        bill,
        cpu_price=fmean(map(prices.cpu, nodes)),
        memory_price=fmean(map(prices.memory, nodes)),
        gpu_price=fmean(map(prices.gpu, nodes)),
        problems=tuple(problems),
    )


def cost_answers(view: View, spent: Spent | None, at: float) -> dict[str, Answer]:
    """The costs as metrics: a month of 730 hours at the present rate, and the cost of 1,000 requests."""
    if spent is None:
        return {}
    parts = {COMPUTE: spent.compute, STORAGE: spent.storage, API: spent.api}
    if not view.config.spec.cost.api.models:
        del parts[API]
    if not any(pod.claims for pod in view.live):
        del parts[STORAGE]
    found = {name: _value(MONTH_HOURS * amount, at) for name, amount in parts.items() if math.isfinite(amount)}
    for name in parts.keys() - found.keys() if spent.problems else ():
        found[name] = no_value(AnswerKind.EMPTY, spent.problems[-1], reason=Reason.PRICE_UNKNOWN.value)
    if math.isfinite(spent.total) and view.arrival > 0:
        found[UNIT] = _value(1000.0 * spent.total / (3600.0 * view.arrival), at)
    return found


def _value(number: float, at: float) -> Answer:
    return Answer(AnswerKind.VALUE, number, REASONS[AnswerKind.VALUE], "At the present rate.", at)


def _compute(view: View, prices: Prices, now: float) -> tuple[float, float, float]:
    """Σ over running pods of max(request, use) at the price of their node, GPUs included; cores; bytes.

    Not known while the usage of no container is: what is used beyond a request costs too.
    """
    cpu, memory = fast_readings(view, Builtin.CPU, now), fast_readings(view, Builtin.MEMORY, now)
    if not cpu or not memory:
        return math.nan, math.nan, math.nan
    paid, cores, size = [], [], []
    for pod in (*view.live, *view.live_trials):
        if not pod.node:
            continue  # not scheduled: it takes no node
        for container in pod.containers:
            key = (pod.name, container.name)
            request = (_known(container.cpu), _known(container.memory))
            used = (max(request[0], cpu.get(key, 0.0)), max(request[1], memory.get(key, 0.0)))
            paid.append(
                used[0] * prices.cpu(pod.node)
                + used[1] / GIB * prices.memory(pod.node)
                + container.gpus * prices.gpu(pod.node)
            )
            cores.append(request[0])
            size.append(request[1])
    return math.fsum(paid), math.fsum(cores), math.fsum(size)


def _known(amount: float) -> float:
    return 0.0 if math.isnan(amount) else amount


def _storage(claims: Set[str], prices: Prices, storage: Storage | None) -> tuple[float, str]:
    """What the claims cost, each once; a claim whose size is not known."""
    if not claims:
        return 0.0, ""
    if storage is None:
        return math.nan, ""
    lost = sorted(claims - storage.size.keys())
    if lost:
        return math.nan, lost[0]
    otherwise = prices.static.storage_gib_hour
    return math.fsum(storage.size[claim] / GIB * storage.price.get(claim, otherwise) for claim in claims), ""


def _dear(claims: Set[str], prices: Prices, storage: Storage | None) -> list[str]:
    """The first claim whose volume has a price that can't be right, in a sentence."""
    usual, known = prices.static.storage_gib_hour, storage.price if storage is not None else {}
    for claim in sorted(claims & known.keys()):
        if off(known[claim], usual):
            return [
                f"pv_hourly_cost of claim {claim} is {known[claim]:.3g} a GiB-hour, {known[claim] / usual:.2g} times "
                "the static price; check the exporter's pricing, or set prices in the chart's values."
            ]
    return []


def _api(view: View, asker: Asker, now: float) -> tuple[float, list[str]]:
    """What tokens cost an hour, and what is in doubt about it."""
    if not view.plans.tokens:
        return 0.0, []
    answers = {
        name: asker.answer((view.config.key, "", name), view.source, meter, view.everybody, API_SECONDS, now)
        for name, meter in view.plans.tokens.items()
    }
    doubts = []
    if answers[UNPRICED].known and answers[UNPRICED].value > 0:
        doubts.append("Tokens of models without a price are used; add them to cost.api.models.")
    priced = answers[PRICED]
    if not priced.known:
        doubts.append(f"API costs: {priced.message}")
        return math.nan, doubts
    return 3600.0 * max(priced.value, 0.0), doubts
