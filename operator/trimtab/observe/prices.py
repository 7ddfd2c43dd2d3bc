"""Prices of nodes and volumes: OpenCost's metrics where a datasource has them, the administrator's otherwise.

OpenCost exports prices an hour for each node (https://opencost.io/docs/integrations/opencost-exporter). They are about
the cluster and not about a namespace, so they are asked without a tenant matcher, by the operator alone, every ten
minutes, once a datasource. Sizes of claims are asked by namespace, with it.
"""

import asyncio
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median

from trimtab.api.datasource import Datasource
from trimtab.api.settings import StaticPrices
from trimtab.kube.records import NodeRecord
from trimtab.observe.board import Board, Item
from trimtab.observe.selectors import written
from trimtab.observe.source import MetricSource, Sample, SourceError

EVERY_SECONDS = 600.0
KEPT_SECONDS = 86400.0
"""How long node prices hold after the exporter was last heard of: costs must not jump because it is restarted."""
SUSPECT_FACTOR = 10.0
GIB = float(1 << 30)
_BY_NODE = {
    "cpu": "node_cpu_hourly_cost",
    "memory": "node_ram_hourly_cost",
    "gpu": "node_gpu_hourly_cost",
    "total": "node_total_hourly_cost",
}
_SIZES = (
    "kube_persistentvolumeclaim_resource_requests_storage_bytes",
    "kubelet_volume_stats_capacity_bytes",
    "pod_pvc_allocation",
)


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices an hour: of a core, a GiB of memory, a GPU, a GiB of storage."""

    static: StaticPrices
    nodes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """cpu, memory, gpu, total → node → price; empty: static prices hold."""
    suspect: tuple[str, ...] = ()
    """What can't be right, a sentence each."""

    @property
    def measured(self) -> bool:
        """Whether a datasource has node prices."""
        return bool(self.nodes.get("cpu"))

    def cpu(self, node: str) -> float:
        """One core for an hour on a node."""
        return self._of("cpu", node, self.static.cpu_hour)

    def memory(self, node: str) -> float:
        """One GiB of memory for an hour on a node."""
        return self._of("memory", node, self.static.memory_gib_hour)

    def gpu(self, node: str) -> float:
        """One GPU for an hour on a node."""
        return self._of("gpu", node, self.static.gpu_hour)

    def bill(self, nodes: Sequence[NodeRecord]) -> float:
        """What all nodes cost an hour; 0 where none can be seen."""
        if self.nodes.get("total"):
            return math.fsum(self.nodes["total"].values())
        return math.fsum(node.cpu * self.cpu(node.name) + node.memory / GIB * self.memory(node.name) for node in nodes)

    def _of(self, what: str, node: str, otherwise: float) -> float:
        known = self.nodes.get(what) or {}
        if node in known:
            return known[node]
        # A node that is new to the exporter costs like the others.
        return median(known.values()) if known else otherwise


@dataclass(frozen=True, slots=True)
class Storage:
    """Claims of a namespace."""

    size: Mapping[str, float]
    """Claim → bytes."""
    price: Mapping[str, float]
    """Claim → price of a GiB for an hour, where the exporter knows it."""


class PriceBook:
    """Asks for prices and sizes on their own cadence; the last answers are kept (RULES 22)."""

    def __init__(
        self, sources: Mapping[str, MetricSource], datasources: Mapping[str, Datasource], static: StaticPrices
    ) -> None:
        self._sources, self._datasources, self._static = sources, datasources, static
        self._prices: Board[str, Prices] = Board(self._read_prices)
        self._sizes: Board[str, Storage] = Board(self._read_sizes)
        self._heard: dict[str, tuple[float, Prices]] = {}
        """Datasource → when node prices were last there, and which."""
        self._wanted: dict[Hashable, Item[str]] = {}
        self._wanted_sizes: dict[Hashable, Item[str]] = {}

    def begin(self) -> None:
        """Forget what the last tick asked for."""
        self._wanted, self._wanted_sizes = {}, {}

    def want(self, source: str, namespace: str, *, claims: bool) -> None:
        """Prices are wanted, and sizes of claims where pods of the namespace mount some."""
        if source not in self._sources:
            return
        self._wanted[source] = Item(source, source, EVERY_SECONDS, source)
        if claims:
            self._wanted_sizes[(source, namespace)] = Item((source, namespace), namespace, EVERY_SECONDS, source)

    def start(self, now: float) -> None:
        """Begin asking what is due; the answers serve the next ticks."""
        self._prices.start(self._wanted, now)
        self._sizes.start(self._wanted_sizes, now)

    def prices(self, source: str) -> Prices | None:
        """Prices for resources of a datasource; None before the first answer."""
        kept = self._prices.get(source)
        if kept is None:
            return None if source in self._sources else Prices(self._static)
        return kept.result if kept.result is not None else Prices(self._static)

    def storage(self, source: str, namespace: str) -> Storage | None:
        """Claims of a namespace; None while nothing is known of them."""
        kept = self._sizes.get((source, namespace))
        return kept.result if kept is not None else None

    @property
    def static(self) -> Prices:
        """The administrator's prices."""
        return Prices(self._static)

    async def close(self) -> None:
        """Give up what is being asked."""
        await self._prices.close()
        await self._sizes.close()

    async def _read_prices(self, source: str, _questions: Sequence[str], at: float) -> Sequence[Prices]:
        asked = [f"max by (node) ({metric})" for metric in _BY_NODE.values()]
        found = await asyncio.gather(*(self._sources[source].query(text, at) for text in asked))
        nodes = {what: _positive(samples, "node") for what, samples in zip(_BY_NODE, found, strict=True)}
        prices = Prices(self._static, nodes, tuple(suspect(nodes, self._static)))
        if prices.measured:
            self._heard[source] = at, prices
            return [prices]
        last, kept = self._heard.get(source, (-math.inf, prices))
        if at - last >= KEPT_SECONDS:
            return [prices]
        gone = f"{_BY_NODE['cpu']} has no series any more; its last prices hold for a day. Look at the exporter."
        return [replace(kept, suspect=(*kept.suspect, gone))]

    async def _read_sizes(self, source: str, namespaces: Sequence[str], at: float) -> Sequence[Storage]:
        return [await self._storage_of(source, namespace, at) for namespace in namespaces]

    async def _storage_of(self, source: str, namespace: str, at: float) -> Storage:
        tenancy = self._datasources[source].tenancy

        def selector(metric: str) -> str:
            labels = tenancy.labels_for(metric)
            if labels is None:
                raise ValueError(f"allowUnlabelled must not match {metric}; take it off the datasource's list")
            return f"{metric}{{{written((labels.label, '=', namespace))}}}"

        sizes = " or ".join(selector(metric) for metric in _SIZES)
        size = await self._sources[source].query(f"max by (persistentvolumeclaim) ({sizes})", at)
        priced = (
            f"max by (persistentvolumeclaim) (0 * {selector('pod_pvc_allocation')} + on (persistentvolume) "
            "group_left () max by (persistentvolume) (pv_hourly_cost))"
        )
        try:
            price = await self._sources[source].query(priced, at)
        except SourceError:
            price = []  # an exporter whose labels do not match in this way: the static price holds
        return Storage(_positive(size, "persistentvolumeclaim"), _positive(price, "persistentvolumeclaim"))


def _positive(samples: Sequence[Sample], label: str) -> dict[str, float]:
    """By label, finite and not negative."""
    return {
        name: sample.value
        for sample in samples
        if (name := sample.labels.get(label, "")) and math.isfinite(sample.value) and sample.value >= 0
    }


def suspect(nodes: Mapping[str, Mapping[str, float]], static: StaticPrices) -> list[str]:
    """A sentence for each price ten times off the static one, either way: of most nodes, or of the first such node."""
    usual = {"cpu": static.cpu_hour, "memory": static.memory_gib_hour, "gpu": static.gpu_hour}
    found = []
    for what, expected in usual.items():
        known = dict(nodes.get(what) or {})
        if what == "gpu":  # exporters price the GPUs of a node without any at 0
            known = {node: price for node, price in known.items() if price > 0}
        wrong = sorted(node for node, price in known.items() if off(price, expected))
        if not wrong:
            continue
        most = len(wrong) > len(known) / 2
        price = median(known.values()) if most else known[wrong[0]]
        where = "" if most else f"of node {wrong[0]} "
        found.append(
            f"{_BY_NODE[what]} {where}is {price:.3g} an hour, {price / expected:.2g} times the static price "
            f"{expected:.3g}; check the exporter's pricing, or set prices in the chart's values."
        )
    return found


def off(price: float, usual: float) -> bool:
    """Whether a price is ten times off the usual one, either way."""
    return usual > 0 and not usual / SUSPECT_FACTOR <= price <= usual * SUSPECT_FACTOR
