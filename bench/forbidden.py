"""What no plan may do, one rule a constraint, told apart from how the engine makes sure of it.

Each rule gives, for rows of its own (workloads, containers, knobs or decisions), where it applies, where the plan
stands at its edge, and where it is broken.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from trimtab.api.reasons import Reason
from trimtab.api.status import OutcomeState
from trimtab.decide.columns import F8
from trimtab.decide.observation import INF, Lever, Observation
from trimtab.decide.plan import Plan

NEAR = 1e-9
CORE, MIB = 1e-3, float(2**20)
CUTS = frozenset({Reason.CUT_UNUSED, Reason.SCALED_DOWN})
SAVING = CUTS | {Reason.KNOB_TRIAL_STARTED, Reason.KNOB_STEPPED}
LOANS = frozenset({Reason.SURGE_BRIDGED, Reason.BRIDGE_RETURNED})
Mask = npt.NDArray[np.bool_]


@dataclass(slots=True)
class Rule:
    """How often a constraint was there, decided, and broken."""

    applied: int = 0
    at_edge: int = 0
    broken: int = 0
    example: str = ""


@dataclass(slots=True)
class Audit:
    """Counts by constraint."""

    rules: dict[str, Rule] = field(default_factory=dict)

    def rule(self, name: str, applies: Mask, edge: Mask, broken: Mask, what: str = "") -> None:
        """Count one rule over its rows."""
        held = self.rules.setdefault(name, Rule())
        wrong = applies & broken
        held.applied += int(applies.sum())
        held.at_edge += int((applies & edge & ~wrong).sum())
        held.broken += int(wrong.sum())
        if wrong.any() and not held.example:
            held.example = f"{what} row {int(np.argmax(wrong))}".strip()

    @property
    def broken(self) -> int:
        """Moves that a constraint forbids."""
        return sum(rule.broken for rule in self.rules.values())

    @property
    def unreached(self) -> list[str]:
        """Constraints that applied in no state: a run that has any proves less than it says."""
        return [name for name, rule in self.rules.items() if not rule.applied]

    def check(self, seen: Observation, plan: Plan, *, first: bool = False) -> None:
        """Count every rule over one plan; `first`: nothing was decided before it."""
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            self._replicas(seen, plan)
            for lever in (Lever.CPU, Lever.MEMORY):
                self._containers(seen, plan, lever)
            self._loans(seen, plan)
            self._max_memory(seen, plan)
            self._knobs(seen, plan)
            self._decisions(seen, plan)
            if first:
                self._first(seen, plan)

    def _replicas(self, seen: Observation, plan: Plan) -> None:
        w, new = seen.workloads, plan.workloads.replicas
        now, top, low = w.replicas, w.replicas_max, np.minimum(w.replicas_min, w.replicas_max)
        untuned = top <= 0
        self.rule("replicas: not tuned without bounds", untuned, untuned, new != -1)
        free = ~untuned & w.acting & w.allowed[:, Lever.REPLICAS] & (now > 0)
        self.rule("replicas: only where acting and allowed", ~untuned & ~free, ~untuned, new != now)
        self.rule("replicas: never to zero", free, new == 1, new < 1)
        self.rule("replicas: max", free, (new == top) | (now > top), new > np.maximum(now, top))
        self.rule("replicas: min", free, (new == low) | (now < low), (new < now) & (new < low))
        self.rule("replicas: min = max", free & (w.replicas_min == top), new == top, (new > now) & (new > top))
        self.rule(
            "replicas: no move up while selectPolicy is Disabled", free & (w.up_select == 2), new == now, new > now
        )
        disabled = free & (w.down_select == 2)
        self.rule("replicas: no move down while selectPolicy is Disabled", disabled, new == now, new < now)
        moved = np.isfinite(w.replicas.astype(np.float64)) & (plan.workloads.met & plan.workloads.missed)
        self.rule("targets: never met and missed at once", np.ones(len(w), dtype=bool), plan.workloads.met, moved)

    def _first(self, seen: Observation, plan: Plan) -> None:
        """Rules that are simple for a first tick: rate policies without events, cuts without earlier ones."""
        w, new = seen.workloads, plan.workloads.replicas
        free = (w.replicas_max > 0) & w.acting & w.allowed[:, Lever.REPLICAS] & (w.replicas > 0)
        now = w.replicas.astype(np.float64)
        up = _reach(now, w.up_value, w.up_percent, w.up_period, w.up_select)
        down = _reach(now, w.down_value, w.down_percent, w.down_period, w.down_select)
        self.rule("replicas: policies of scaleUp", free, (new > now) & (new == now + up), new > now + up)
        self.rule("replicas: policies of scaleDown", free, (new < now) & (new == now - down), new < now - down)
        names = {key: i for i, key in enumerate(seen.containers.key)}
        for one in plan.decisions:
            c = names.get(f"{one.workload}/{one.subject}", -1)
            if one.reason is Reason.CUT_UNUSED and one.outcome is not OutcomeState.RECOMMENDED and c >= 0:
                name, quantum = ("cpu", CORE) if one.lever is Lever.CPU else ("memory", MIB)
                whole = not getattr(seen.containers, name)[c] < getattr(seen.containers, f"template_{name}")[c]
                least = one.before * 0.75
                edge, broken = one.after < least + quantum, one.after < least - NEAR * least
                self.rule("cuts: the first by at most a quarter", _one(whole), _one(edge), _one(broken))

    def _containers(self, seen: Observation, plan: Plan, lever: Lever) -> None:
        w, c = seen.workloads, seen.containers
        name, quantum = ("cpu", CORE) if lever is Lever.CPU else ("memory", MIB)
        new, limit = getattr(plan.containers, name), getattr(plan.containers, f"{name}_limit")
        old, old_limit = getattr(c, name), getattr(c, f"{name}_limit")
        low, high = getattr(c, f"{name}_min"), getattr(c, f"{name}_max")
        node = getattr(w, f"node_{name}")[c.workload]
        node = np.where(node > 0, node, INF)
        every, moved = np.ones(len(c), dtype=bool), np.isfinite(new)
        self.rule(f"{name}: NaN or an amount, never infinite", every, moved, np.isinf(new) | np.isinf(limit))
        self.rule(f"{name}: above 0", moved, new <= quantum, new <= 0)
        may = w.acting[c.workload] & w.allowed[c.workload, lever] & getattr(c, f"{name}_allowed")
        self.rule(f"{name}: only where acting and allowed", ~may, ~may, moved)
        bounded = np.isfinite(high) & (high > 0)
        self.rule(f"{name}: not tuned without bounds", ~bounded, ~bounded, moved)
        unsound = ~(np.isfinite(old) & (old > 0))
        self.rule(f"{name}: nothing without a request to start from", unsound, unsound, moved)
        up, down = moved & (new > old), moved & (new < old)
        self.rule(f"{name}: max", up & bounded, np.isclose(new, high), new > high * (1 + NEAR))
        self.rule(f"{name}: the largest node", up, np.isclose(new, node), new > node * (1 + NEAR))
        least = np.minimum(np.minimum(np.where(low > 0, low, 0.0), high), node)
        sane = np.isfinite(low) & (low <= high)
        self.rule(f"{name}: min", down & sane, np.isclose(new, least), new < np.minimum(least, old) * (1 - NEAR))
        self.rule(f"{name}: min = max", moved & (low == high), np.isclose(new, high), up & (new > high * (1 + NEAR)))
        self.rule(f"{name}: bounds the wrong way round", moved & (low > high), moved, up & (new > high * (1 + NEAR)))
        with_limit = moved & np.isfinite(old_limit)
        self.rule(
            f"{name}: a limit is neither made nor taken away",
            moved,
            moved,
            np.isfinite(limit) != np.isfinite(old_limit),
        )
        self.rule(f"{name}: limit not below the request", with_limit, limit == new, limit < new * (1 - NEAR))
        pinned = with_limit & c.guaranteed
        self.rule(f"{name}: Guaranteed keeps limit and request equal", pinned, pinned, limit != new)
        lowered = with_limit & (limit < old_limit)
        if lever is Lever.MEMORY:
            above = np.isfinite(c.working_set)
            self.rule("memory: limit not below the working set", lowered & above, lowered, limit < c.working_set)
            self.rule("memory: no lower limit without knowing the working set", lowered, ~above, ~above)
            template = c.template_memory_limit
            bound = lowered & ~c.limit_below_template & np.isfinite(template)
            self.rule(
                "memory: limit not below the template's without opt-in", bound, limit <= template, limit < template
            )
        self._pods(seen, name, new, old, node)

    def _pods(self, seen: Observation, name: str, new: F8, old: F8, node: F8) -> None:
        owner, count = seen.containers.workload, len(seen.workloads)
        moved = np.isfinite(new)
        asked = np.bincount(owner, _amount(np.where(moved, new, old)), count)
        had = np.bincount(owner, _amount(old), count)
        most = np.full(count, INF)
        most[owner] = node
        grown = np.bincount(owner, moved & (new > old), count) > 0
        over = (asked > most * (1 + NEAR)) & (asked > had * (1 + NEAR))
        self.rule(f"{name}: the pod fits the largest node", grown, asked > most * 0.999, over)

    def _loans(self, seen: Observation, plan: Plan) -> None:
        w, c, lent = seen.workloads, seen.containers, plan.containers.lent
        grown = np.isfinite(lent) & (lent > np.where(c.lent > 0, c.lent, 0.0)) & (lent > 0)
        may = w.acting[c.workload] & w.allowed[c.workload, Lever.CPU] & c.cpu_allowed
        self.rule("lent cpu: only where acting and allowed", ~may, ~may, grown)
        request = np.where(np.isfinite(plan.containers.cpu), plan.containers.cpu, c.cpu)
        high = np.where(c.cpu_max > 0, c.cpu_max, 0.0)
        top = request + lent
        self.rule("lent cpu: request and loan within max", grown, np.isclose(top, high), top > high * (1 + NEAR) + NEAR)
        every = np.ones(len(c), dtype=bool)
        self.rule("lent cpu: never negative or infinite", every, grown, (lent < 0) | np.isinf(lent))

    def _max_memory(self, seen: Observation, plan: Plan) -> None:
        w, before, after = seen.workloads, _memory(seen, None), _memory(seen, plan)
        most = np.where(w.max_memory > 0, w.max_memory, INF)
        over = (after > most * (1 + 1e-6)) & (after > before * (1 + 1e-6))
        self.rule("resources.maxMemory", np.isfinite(most), (after > most * 0.98) | (before > most), over)

    def _knobs(self, seen: Observation, plan: Plan) -> None:
        w, k = seen.workloads, seen.knobs
        usable = np.isfinite(k.ceiling) & (k.ceiling > 0)
        most = np.minimum(k.maximum, np.floor(np.where(usable, k.ceiling, 1e9))).astype(np.int64)
        least = np.minimum(k.minimum, most)
        wanted, trial = plan.knobs.value, plan.knobs.trial
        every = np.ones(len(k), dtype=bool)
        free = w.acting[k.workload] & w.allowed[k.workload, Lever.KNOB] & k.allowed
        self.rule("knobs: only where acting and allowed", ~free, ~free, (wanted != k.value) | (trial != -1))
        self.rule("knobs: max and ceiling", free, wanted == most, wanted > np.maximum(most, k.value))
        self.rule("knobs: min", free, wanted == least, wanted < np.minimum(least, k.value))
        tried = trial >= 0
        self.rule(
            "knobs: trials inside the bounds",
            tried,
            (trial == least) | (trial == most),
            (trial < least) | (trial > most),
        )
        self.rule(
            "knobs: a pod is kept only from a trial", every, plan.knobs.keep_trial, plan.knobs.keep_trial & ~tried
        )

    def _decisions(self, seen: Observation, plan: Plan) -> None:
        w, p = seen.workloads, plan.workloads
        row = {key: i for i, key in enumerate(w.key)}
        container = {key: i for i, key in enumerate(seen.containers.key)}
        fresh = [one for one in plan.decisions if one.time == seen.now]
        told = np.array([one.outcome is OutcomeState.RECOMMENDED for one in fresh], dtype=bool)
        acting = w.acting[[row[one.workload] for one in fresh]]
        self.rule("decisions: only recommendations where nothing may be moved", ~acting, told, ~told)
        self.rule("decisions: no recommendation where moves are made", acting, ~told, told)
        made = [one for one in fresh if one.outcome is not OutcomeState.RECOMMENDED]
        count = len(made)
        rows = np.array([row[one.workload] for one in made], dtype=np.int64)
        before, after = (
            np.array([getattr(one, name) for one in made], dtype=np.float64) for name in ("before", "after")
        )
        inputs = np.array([all(map(math.isfinite, one.inputs.values())) for one in made], dtype=bool)
        every = np.ones(count, dtype=bool)
        known = np.isfinite(before) & np.isfinite(after) & inputs
        self.rule("decisions: every number is one", every, every, ~known)
        cut = np.array([one.reason in CUTS for one in made], dtype=bool)
        saves = np.array([one.reason in SAVING for one in made], dtype=bool)
        frozen = w.rollout[rows] | w.window_closed[rows]
        self.rule("freeze: no saving, trial or step in a rollout or closed window", frozen, frozen, saves)
        missed = ~p.met[rows]
        self.rule("cuts: never while a target is missed or unknown", missed, missed, cut)
        self.rule("cuts: at most half", cut, after <= before * 0.5 + 1, after < before * 0.5 - 1)
        sized = cut & np.array([one.lever in (Lever.CPU, Lever.MEMORY) for one in made], dtype=bool)
        learning = p.history_seconds[rows] < w.min_history_seconds[rows]
        alone = np.bincount(seen.containers.workload, minlength=len(w))[rows] == 1
        self.rule("cuts: not before minHistorySeconds", learning & alone, sized | alone, sized)
        c = np.array([container.get(f"{one.workload}/{one.subject}", -1) for one in made], dtype=np.int64)
        spent = w.resizes_per_day[rows] <= 0
        self.rule("budgets: no cut past maxResizesPerDay", spent & (c >= 0), spent, sized)
        knob = np.array([one.reason in (Reason.KNOB_TRIAL_STARTED, Reason.KNOB_STEPPED) for one in made], dtype=bool)
        self.rule("budgets: no knob past maxMovesPerDay", w.moves_per_day[rows] <= 0, knob | True, knob)
        up = np.array([one.lever is Lever.REPLICAS and not one.emergency for one in made], dtype=bool)
        held = w.human_hold_until[rows] > seen.now
        self.rule("human hold: replicas are left alone", held, up | held, up)
        levers = np.zeros((len(w), len(Lever)), dtype=bool)
        for one, place in zip(made, rows.tolist(), strict=True):
            # A loan is no move of its own: it bridges to the pods that another move brings.
            levers[place, one.lever] |= one.reason not in LOANS
        moves = levers.sum(axis=1)
        self.rule("one lever a workload and step", moves > 0, moves == 1, moves > 1)


def _one(value: bool) -> Mask:
    return np.array([value], dtype=bool)


def _reach(now: F8, value: F8, percent: Mask, period: F8, select: npt.NDArray[np.int64]) -> F8:
    """Pods that policies let a count go when nothing happened before (HPA v2): percent rounded up, none: nowhere."""
    amount = np.where(percent, np.ceil(now[:, None] * np.nan_to_num(value, posinf=1e9, neginf=0.0) / 100 - NEAR), value)
    amount = np.clip(np.nan_to_num(amount, posinf=1e9, neginf=0.0), 0.0, 1e9)
    used = np.nan_to_num(period, posinf=1e9, neginf=0.0) > 0
    most = np.where(used, amount, -1.0).max(axis=1)
    least = np.where(used, amount, INF).min(axis=1)
    reach = np.where(select == 1, least, most)
    return np.where((select == 2) | ~used.any(axis=1) | ~np.isfinite(reach), 0.0, np.maximum(reach, 0.0))


def _amount(values: F8) -> F8:
    return np.where(np.isfinite(values) & (values > 0), values, 0.0)


def _memory(seen: Observation, plan: Plan | None) -> F8:
    """Σ over pods and trial pods of max(request, limit), float64[W]; before the plan, or after it."""
    c, w = seen.containers, seen.workloads
    request, limit = c.memory, np.where(np.isfinite(c.memory_limit), c.memory_limit, np.nan)
    pods = (w.replicas + w.extra_pods).astype(np.float64)
    if plan is not None:
        moved = np.isfinite(plan.containers.memory)
        request = np.where(moved, plan.containers.memory, request)
        limit = np.where(moved, plan.containers.memory_limit, limit)
        trials = np.bincount(seen.knobs.workload[plan.knobs.trial >= 0], minlength=len(w))
        pods = np.where(plan.workloads.replicas >= 0, plan.workloads.replicas, w.replicas) + trials
    each: F8 = np.bincount(c.workload, _amount(np.fmax(request, limit)), len(w)).astype(np.float64)
    return each * pods
