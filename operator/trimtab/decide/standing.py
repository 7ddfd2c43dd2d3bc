"""How each workload stands, beside what moves need: clocks of alerts, memory trends, the load."""

from dataclasses import dataclass, field

from trimtab.api.builtin_alerts import BUILTIN_ALERTS
from trimtab.api.status import AlertState
from trimtab.decide.columns import B1, F8, I8, S, Table, column
from trimtab.decide.histogram import F4
from trimtab.decide.observation import NAN

LEAK_SLOTS = 24
FINE_SLOTS = 361
"""Six hours of minutes, and the one that is being filled."""
LONG_SLOTS = 361
"""Slots that hold the window of an objective, the one that is being filled included."""
WEEKS = 14
LOAD_SLOTS = 48
"""Slots of arrival rates: twelve minutes at a start-up of up to six."""
ERROR_BINS = 52
_RULES = len(BUILTIN_ALERTS)


@dataclass(frozen=True, slots=True)
class BuiltinMemory(Table):
    """Clocks of the built-in alerts: W rows, a column a rule in the order of BUILTIN_ALERTS. Unix seconds."""

    key: S = column(object, "")
    state: S = column(object, AlertState.UNKNOWN, width=_RULES)
    firing: B1 = column(bool, False, width=_RULES)
    since: F8 = column("f8", NAN, width=_RULES)
    breach_since: F8 = column("f8", NAN, width=_RULES)
    cleared_since: F8 = column("f8", NAN, width=_RULES)
    judged_at: F8 = column("f8", NAN, width=_RULES)
    step: F8 = column("f8", NAN, width=_RULES)


@dataclass(frozen=True, slots=True)
class MemoryTrend(Table):
    """Lows of the working set of each container, to tell a leak; C rows."""

    key: S = column(object, "")
    slot: I8 = column("i8", -1)
    """Number of the slot that is being filled, since the epoch."""
    low: F4 = column("f4", NAN, width=LEAK_SLOTS)
    """Smallest of the working sets seen in each slot, bytes, by slot number modulo their count."""
    load: F4 = column("f4", NAN, width=LEAK_SLOTS)
    """Largest arrival rate a pod in each slot, requests a second."""
    growth: F4 = column("f4", NAN)
    """Relative growth of the lows where it looks like a leak, 0 where it does not; NaN: not known yet."""


@dataclass(frozen=True, slots=True)
class ObjectiveMemory(Table):
    """Slots of what was good, of all, and of the seconds known; windows and clocks made from them; O rows.

    Slots are found by their number since the epoch modulo the length of the ring.
    """

    key: S = column(object, "")
    begun: F8 = column("f8", NAN)
    """Unix time of the first tick that saw it: history goes before."""
    slot: F8 = column("f8", 0.0)
    """Seconds of a long slot."""
    fine_at: I8 = column("i8", 0)
    long_at: I8 = column("i8", 0)
    """Number of the newest slot: a minute, and a long one."""
    fine_good: F4 = column("f4", 0.0, width=FINE_SLOTS)
    fine_total: F4 = column("f4", 0.0, width=FINE_SLOTS)
    fine_known: F4 = column("f4", 0.0, width=FINE_SLOTS)
    long_good: F4 = column("f4", 0.0, width=LONG_SLOTS)
    long_total: F4 = column("f4", 0.0, width=LONG_SLOTS)
    long_known: F4 = column("f4", 0.0, width=LONG_SLOTS)
    burn: F8 = column("f8", NAN, width=7)
    """Burn rate by window; NaN: not known."""
    attainment: F8 = column("f8", NAN)
    """Share that was good, of what is known of the objective's window."""
    known: F8 = column("f8", 0.0)
    """Share of the window that is known."""
    week_attainment: F8 = column("f8", NAN, width=WEEKS)
    week_known: F8 = column("f8", 0.0, width=WEEKS)
    """Attainment and seconds known of each calendar week inside the window, the present one first."""
    state: S = column(object, AlertState.UNKNOWN, width=4)
    firing: B1 = column(bool, False, width=4)
    since: F8 = column("f8", NAN, width=4)
    breach_since: F8 = column("f8", NAN, width=4)
    cleared_since: F8 = column("f8", NAN, width=4)
    judged_at: F8 = column("f8", NAN, width=4)
    step: F8 = column("f8", NAN, width=4)


@dataclass(frozen=True, slots=True)
class CostMemory(Table):
    """Hourly blocks of what was paid and served, summed; W rows."""

    key: S = column(object, "")
    at: F8 = column("f8", NAN)
    """Unix time of the last measurement."""
    mean: F8 = column("f8", NAN)
    """Exponential mean of the cost an hour, over a day."""
    prices: I8 = column("i8", 0)
    """Whose prices all of it is in, as in Workloads; 0: not known yet."""
    other_since: F8 = column("f8", NAN)
    """Unix time since when prices come from another source; NaN: they do not."""
    moved: B1 = column(bool, False)
    """Trimtab's values are or were in force: the baseline is closed."""
    by_requests: B1 = column(bool, False)
    """Requests are the unit; otherwise hours."""
    block: I8 = column("i8", 0)
    """Number of the hour that is being filled."""
    block_seconds: F8 = column("f8", 0.0)
    block_cost: F8 = column("f8", 0.0)
    block_requests: F8 = column("f8", 0.0)
    block_cpu: F8 = column("f8", 0.0)
    block_memory: F8 = column("f8", 0.0)
    block_nodes: F8 = column("f8", 0.0)
    """Integrals over the block, by seconds."""
    baseline: F8 = column("f8", 0.0, width=9)
    actual: F8 = column("f8", 0.0, width=9)
    """Sums over blocks before and since the first move: their number, cost, units, products of these two, mean cores
    and bytes requested, and what the nodes of the cluster cost."""


@dataclass(frozen=True, slots=True)
class LoadMemory(Table):
    """Arrival rates of the last slots, what was expected of them, and how wrong that was; W rows.

    Slots are found by their number since the epoch modulo the length of the ring. See forecast.py and capacity.py.
    """

    key: S = column(object, "")
    width: F8 = column("f8", 0.0)
    """Seconds of a slot; 0: nothing known yet."""
    slot: I8 = column("i8", -1, width=LOAD_SLOTS)
    """Number of the slot that each place holds."""
    rate: F8 = column("f8", NAN, width=LOAD_SLOTS)
    plain: F8 = column("f8", NAN, width=LOAD_SLOTS)
    trend: F8 = column("f8", NAN, width=LOAD_SLOTS)
    """Requests a second in the slot, and what was expected then for one start-up later: by autoregression, by trend."""
    moments: F8 = column("f8", 0.0, width=25)
    cross: F8 = column("f8", 0.0, width=5)
    weights: F8 = column("f8", 0.0, width=5)
    """The autoregression: decayed Σ x·xᵀ and Σ x·y, and the weights that follow."""
    trend_gain: F8 = column("f8", 0.0)
    """Decayed loss that the trend saved where it acted; used while above 0."""
    errors: F8 = column("f8", 0.0, width=ERROR_BINS)
    """Decayed histogram of log(load/expected)."""
    carries: F8 = column("f8", NAN)
    """Share of its CPU up to which a pod has been seen to meet the target; NaN: not seen yet."""
    carries_end: B1 = column(bool, False)
    """Latency came near the target at what was planned once: from then on `carries` rises slowly."""
    excess: F8 = column("f8", 0.0)
    """Seconds times share of the replicas that were too many lately."""
    decided_at: F8 = column("f8", 0.0)
    """Unix time of the last tick that had a forecast."""


@dataclass(frozen=True, slots=True)
class Standing:
    """All of it. Rows are in the order of the Observation it was last used with."""

    builtin: BuiltinMemory = field(default_factory=BuiltinMemory)
    trends: MemoryTrend = field(default_factory=MemoryTrend)
    objectives: ObjectiveMemory = field(default_factory=ObjectiveMemory)
    costs: CostMemory = field(default_factory=CostMemory)
    loads: LoadMemory = field(default_factory=LoadMemory)
