"""Brings the TuningProfile of a namespace to what the plan wants, before any pod is moved (RULES 2–4, 18)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from trimtab.act.bounds import Refusal, applied, invalid, outside_ranges, over_quota, qos_changes
from trimtab.act.entries import (
    Wanted,
    in_force,
    lent_sizes,
    template_sizes,
    tuned_sizes,
    wanted_entry,
    without_loans,
)
from trimtab.act.gate import HeldError, Priority
from trimtab.act.outcomes import explain, rows
from trimtab.act.profile import fitting, write
from trimtab.act.resizer import Resizer
from trimtab.act.targets import SetPoint, Sizes, TargetInfo, World
from trimtab.act.writer import Writer
from trimtab.api.reasons import Reason
from trimtab.api.spec import OnDelete, PerformanceConfigSpec
from trimtab.api.tuningprofile import ProfileEntry
from trimtab.decide.observation import Lever
from trimtab.decide.plan import Outcome
from trimtab.kube.errors import KubeError
from trimtab.kube.inforce import same
from trimtab.kube.records import APPS_KINDS, LimitRangeRecord, ProfileRecord


@dataclass(slots=True)
class Shaped:
    """The profile of a namespace after this tick's write."""

    entries: dict[str, ProfileEntry | None] = field(default_factory=dict)
    """Entry in force, by key of the PerformanceConfig."""
    settled: set[str] = field(default_factory=set)
    """Keys whose entry has stood since an earlier tick: new pods get it for sure."""
    held: set[str] = field(default_factory=set)
    """Keys whose pods are left alone this tick."""
    outcomes: list[Outcome] = field(default_factory=list)


class Shaper:
    """Decides and writes the entries of one namespace at a time."""

    def __init__(self, world: World, resizer: Resizer) -> None:
        self._world = world
        self._resizer = resizer

    async def shape(
        self,
        writer: Writer,
        namespace: str,
        infos: Sequence[TargetInfo],
        points: Mapping[str, SetPoint],
        configs: Mapping[str, PerformanceConfigSpec | None],
    ) -> Shaped:
        """Write what changed, once. Never raises KubeError or HeldError: they become outcomes, and pods are held."""
        record = self._world.profile(namespace)
        ranges = self._world.limit_ranges(namespace)
        shaped = Shaped()
        changes: dict[str, ProfileEntry | None] = {}
        moved: dict[str, tuple[TargetInfo, ProfileEntry | None]] = {}
        for info in sorted(infos, key=lambda i: i.key):
            current = record.spec.workloads.get(info.entry_key) if record is not None else None
            entry = self._entry(writer, info, points[info.key], current, ranges, shaped)
            shaped.entries[info.key] = entry
            if entry == current:
                shaped.settled.add(info.key)
            elif info.entry_key not in moved:
                changes[info.entry_key] = entry
                moved[info.entry_key] = (info, current)
        claimed = {i.entry_key for i in infos if points[i.key].acting}
        orphans = await self._orphans(writer, namespace, record, configs, claimed, shaped)
        changes = dict.fromkeys(orphans) | changes
        kept, refused = fitting(record, changes)
        for key, refusal in refused.items():
            info, current = moved[key]
            shaped.entries[info.key] = current
            shaped.outcomes += rows(info.key, _levers(info, current, changes[key], ranges), False, refusal)
        if kept:
            await self._write(writer, namespace, record, kept, moved, points, shaped, ranges)
        return shaped

    def _entry(
        self,
        writer: Writer,
        info: TargetInfo,
        point: SetPoint,
        current: ProfileEntry | None,
        ranges: Sequence[LimitRangeRecord],
        shaped: Shaped,
    ) -> ProfileEntry | None:
        """The entry that this workload is to have; what forbids another goes to the outcomes."""
        if not point.acting or info.workload.kind not in APPS_KINDS:
            return current
        if point.template != info.workload.template_hash:  # changed since the plan was made
            shaped.held.add(info.key)
            return current
        try:
            entry = wanted_entry(info, point, current, ranges)
        except ValueError as error:
            refusal = Refusal(Reason.MOVE_FAILED, f"the profile can't hold it: {error}")
            shaped.outcomes += rows(info.key, [(Lever.CPU, "")], False, refusal)
            return current
        levers = _levers(info, current, entry, ranges)
        unfit = self._unfit(info, entry, ranges) or (self._quota(info, entry, ranges) if levers else None)
        if unfit is not None:
            shaped.outcomes += rows(info.key, levers or [(Lever.CPU, "")], False, unfit)
            if self._unfit(info, current, ranges) is None:
                return current
            # What stands keeps new pods from starting (a LimitRange was narrowed): they start from the template.
            shaped.held.add(info.key)
            return None
        if levers:
            try:
                writer.gate.change(point.priority, emergency=point.emergency)
            except HeldError as held:
                shaped.outcomes += rows(info.key, levers, False, explain(held))
                return current
        return entry

    def _unfit(
        self, info: TargetInfo, entry: ProfileEntry | None, ranges: Sequence[LimitRangeRecord]
    ) -> Refusal | None:
        if entry is None:
            return None
        before = template_sizes(info, ranges)
        wanted = in_force(info, entry, ranges)
        after = applied(before, wanted)
        touched = [part.name for part in entry.containers]
        lent = {name: lent_sizes(after[name], want.lent) for name, want in wanted.items() if want.lent.cpu > 0}
        return (
            invalid(after)
            or qos_changes(before, after)
            or outside_ranges(after, touched, ranges)
            or (outside_ranges(after | lent, touched, ranges) if lent else None)
        )

    def _quota(
        self, info: TargetInfo, entry: ProfileEntry | None, ranges: Sequence[LimitRangeRecord]
    ) -> Refusal | None:
        wanted = tuned_sizes(info, in_force(info, entry, ranges))
        pods = [p for p in (*info.current_pods, *info.trials) if not p.deleting]
        sizes = {name: lent_sizes(want.sizes, want.lent) for name, want in wanted.items()}
        return over_quota(pods, sizes, self._world.quotas(info.namespace))

    async def _orphans(
        self,
        writer: Writer,
        namespace: str,
        record: ProfileRecord | None,
        configs: Mapping[str, PerformanceConfigSpec | None],
        claimed: set[str],
        shaped: Shaped,
    ) -> list[str]:
        """Keys of entries whose PerformanceConfig is gone, or tunes another workload now, and that nobody took over."""
        found = []
        for key, entry in (record.spec.workloads if record is not None else {}).items():
            owner = f"{namespace}/{entry.config}"
            spec = configs.get(owner)
            unreadable = owner in configs and spec is None
            if key in claimed or unreadable or (spec and f"{spec.target_ref.kind}/{spec.target_ref.name}" == key):
                continue
            given_back = entry.on_delete is OnDelete.REVERT or bool(without_loans(entry))
            if given_back and await self._reverting(writer, namespace, key, entry, shaped):
                continue
            found.append(key)
        return found

    async def _reverting(self, writer: Writer, namespace: str, key: str, entry: ProfileEntry, shaped: Shaped) -> bool:
        """Resize running pods back to the template, or just take a loan back; whether some are still on their way."""
        kind, _, name = key.partition("/")
        workload = self._world.target(namespace, "apps/v1", kind, name)
        if workload is None:
            return False
        pods = [p for p in self._world.pods_of(workload) if not p.deleting and p.phase not in ("Succeeded", "Failed")]
        sizes = {c.name: Sizes.of(c) for c in workload.containers}
        touched = [part.name for part in entry.containers if part.name in sizes]
        wanted = {name: Wanted(sizes[name]) for name in touched}
        if entry.on_delete is not OnDelete.REVERT:
            wanted = without_loans(entry)
        # Nobody measures this workload any more; the kubelet refuses a memory limit below use itself (KEP-1287).
        unused = dict.fromkeys(touched, 0.0)
        owner = f"{namespace}/{entry.config}"
        shaped.outcomes += await self._resizer.converge(writer, owner, pods, wanted, unused)
        return self._resizer.unfinished(pods, wanted, unused)

    async def _write(
        self,
        writer: Writer,
        namespace: str,
        record: ProfileRecord | None,
        changes: Mapping[str, ProfileEntry | None],
        moved: Mapping[str, tuple[TargetInfo, ProfileEntry | None]],
        points: Mapping[str, SetPoint],
        shaped: Shaped,
        ranges: Sequence[LimitRangeRecord],
    ) -> None:
        mine = {key: change for key, change in moved.items() if key in changes}
        level = min((points[info.key].priority for info, _ in mine.values()), default=Priority.CUT)
        try:
            await write(writer.at(level, tidy=not mine), namespace, record, changes)
            refusal, ok = Refusal(Reason.NEW_PODS_SHAPED, "the TuningProfile has the new values"), True
        except (HeldError, KubeError) as error:
            refusal, ok = explain(error), False
        for key, (info, current) in mine.items():
            shaped.outcomes += rows(info.key, _levers(info, current, changes[key], ranges), ok, refusal)
            if not ok:
                # It may have been stored all the same: leave the pods until the mirror shows.
                shaped.entries[info.key] = current
                shaped.held.add(info.key)


def _levers(
    info: TargetInfo, old: ProfileEntry | None, new: ProfileEntry | None, ranges: Sequence[LimitRangeRecord]
) -> list[tuple[Lever, str]]:
    """Levers and subjects by which two entries differ for pods of this workload."""
    before, after = in_force(info, old, ranges), in_force(info, new, ranges)
    found: list[tuple[Lever, str]] = []
    for name, want in after.items():
        a, b = before[name].sizes, want.sizes
        lent = before[name].lent == want.lent
        if not (same(a.cpu, b.cpu) and same(a.cpu_limit, b.cpu_limit) and lent):
            found.append((Lever.CPU, name))
        if not (same(a.memory, b.memory) and same(a.memory_limit, b.memory_limit)):
            found.append((Lever.MEMORY, name))
        for knob in info.spec.optimization.constraints.knobs:
            if knob.container == name and before[name].env.get(knob.env) != want.env.get(knob.env):
                found.append((Lever.KNOB, knob.name))
    return found
