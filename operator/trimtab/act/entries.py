"""Entries of a TuningProfile: what new pods of a workload get, and the template values that this holds for (RULES 2–5).

Pure. The same values are what running pods converge to.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime

from trimtab.act.targets import SetPoint, Sizes, TargetInfo
from trimtab.api.quantity import Quantity, format_cpu, format_memory
from trimtab.api.spec import ContainerBounds, Knob
from trimtab.api.tuningprofile import Loan, ProfileContainer, ProfileEntry
from trimtab.decide.observation import Lever
from trimtab.kube import inforce
from trimtab.kube.inforce import same
from trimtab.kube.loans import NO_LOAN, Lent
from trimtab.kube.records import ContainerSpec, LimitRangeRecord, PodRecord

SIDES = (
    ("cpu", "requests", "cpu"),
    ("memory", "requests", "memory"),
    ("cpu_limit", "limits", "cpu"),
    ("memory_limit", "limits", "memory"),
)
"""Field of Sizes, side and resource of a ResourceRequirements."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What every pod of a workload shall have of one container."""

    sizes: Sizes
    env: Mapping[str, int] = field(default_factory=dict)
    """Knob variables that are to differ from the template."""
    lent: Lent = NO_LOAN
    """CPU on top for the pods that were there before."""

    def for_pod(self, pod: PodRecord) -> "Wanted":
        """What this pod shall have: with the loan where it borrows. One that is not ready keeps the CPU it has."""
        if not self.lent.reaches(pod):
            return self
        if not pod.ready:
            return replace(self, sizes=replace(self.sizes, cpu=math.nan, cpu_limit=math.nan))
        return replace(self, sizes=lent_sizes(self.sizes, self.lent))


def lent_sizes(sizes: Sizes, lent: Lent) -> Sizes:
    """Sizes with a loan on top: of request and limit alike, so that the QoS class stays."""
    return replace(sizes, cpu=sizes.cpu + lent.cpu, cpu_limit=sizes.cpu_limit + lent.cpu)


def admitted(container: ContainerSpec, ranges: Iterable[LimitRangeRecord]) -> Sizes:
    """Sizes with which a template's container reaches the admission policy: after the defaults of LimitRanges.

    kube-apiserver runs LimitRanger before MutatingAdmissionPolicy (pkg/kubeapiserver/options/plugins.go). Of several
    LimitRanges the first that states a default counts.
    """
    sizes = Sizes.of(container)
    for limits in ranges:
        sizes = sizes.over(
            Sizes(
                limits.default_request.get("cpu", math.nan),
                limits.default_request.get("memory", math.nan),
                limits.default_limit.get("cpu", math.nan),
                limits.default_limit.get("memory", math.nan),
            )
        )
    return sizes


def template_sizes(info: TargetInfo, ranges: Sequence[LimitRangeRecord]) -> dict[str, Sizes]:
    """`admitted` sizes of every container of the template, by name."""
    return {c.name: admitted(c, ranges) for c in info.workload.containers}


def tuned(info: TargetInfo) -> dict[str, tuple[ContainerBounds | None, list[Knob]]]:
    """Containers of the template that the PerformanceConfig lists, with their bounds and knobs (RULES 10)."""
    limits = info.spec.optimization.constraints
    present = {c.name for c in info.workload.containers}
    found: dict[str, tuple[ContainerBounds | None, list[Knob]]] = {
        c.name: (c, []) for c in limits.containers if c.name in present
    }
    for knob in limits.knobs:
        if knob.container in present:
            found.setdefault(knob.container, (None, []))[1].append(knob)
    return found


def knob_value(container: ContainerSpec, knob: Knob) -> int | None:
    """Value of a knob in a container; None when it is set in a way that we don't touch, or not at all."""
    if knob.env in container.env:
        return int(container.env[knob.env])
    return None if knob.env in container.env_opaque else knob.default


def in_force(info: TargetInfo, entry: ProfileEntry | None, ranges: Sequence[LimitRangeRecord]) -> dict[str, Wanted]:
    """What every pod shall have of each tuned container: the entry's values where it holds, or the template's."""
    found: dict[str, Wanted] = {}
    stated = {c.name: c for c in entry.containers} if entry is not None else {}
    sizes = template_sizes(info, ranges)
    specs = {c.name: c for c in info.workload.containers}
    for name in tuned(info):
        part = stated.get(name)
        if part is None or not learned_from(part, specs[name], sizes[name]):
            found[name] = Wanted(sizes[name])
        else:
            stands = _sizes(part.requests, part.limits).over(sizes[name])
            found[name] = Wanted(stands, dict(part.env), Lent.of(part.lent))
    return found


def without_loans(entry: ProfileEntry) -> dict[str, Wanted]:
    """CPU that the containers with a loan have without it."""
    found: dict[str, Wanted] = {}
    for part in entry.containers:
        if part.lent is not None:
            sizes = _sizes(part.requests, part.limits)
            found[part.name] = Wanted(Sizes(cpu=sizes.cpu, cpu_limit=sizes.cpu_limit))
    return found


def tuned_sizes(info: TargetInfo, wanted: Mapping[str, Wanted]) -> dict[str, Wanted]:
    """`wanted` without what is not tuned: that is never changed on running pods (RULES 10)."""
    found = {
        name: Wanted(_allowed(wanted[name].sizes, bounds), lent=wanted[name].lent)
        for name, (bounds, _) in tuned(info).items()
    }
    return {name: want for name, want in found.items() if not want.sizes.same(Sizes())}


def left_alone(wanted: Mapping[str, Wanted], contested: Collection[Lever]) -> dict[str, Wanted]:
    """`wanted` without the sizes of these levers: they stay as they are."""
    prefixes = tuple(prefix for lever, prefix in ((Lever.CPU, "cpu"), (Lever.MEMORY, "memory")) if lever in contested)
    if not prefixes:
        return dict(wanted)
    found = {}
    for name, want in wanted.items():
        stated = {f.name: getattr(want.sizes, f.name) for f in fields(Sizes)}
        sizes = Sizes(**{name: math.nan if name.startswith(prefixes) else size for name, size in stated.items()})
        if not sizes.same(Sizes()):
            found[name] = replace(want, sizes=sizes)
    return found


def learned_from(part: ProfileContainer, container: ContainerSpec, sizes: Sizes) -> bool:
    """Whether an entry's container was learned from just this template (RULES 3): what the policy checks as well."""
    return inforce.learned_from(part, (sizes.cpu, sizes.memory), (sizes.cpu_limit, sizes.memory_limit), container.env)


def wanted_entry(
    info: TargetInfo,
    point: SetPoint,
    current: ProfileEntry | None,
    ranges: Sequence[LimitRangeRecord],
) -> ProfileEntry | None:
    """The entry that the plan asks for; None when it is the template itself.

    What the plan leaves open (NaN) stays as it is in force. Amounts are whole millicores and MiB, rounded up.

    Raises:
        ValueError: the entry would be larger than a TuningProfile may hold.
    """
    specs = {c.name: c for c in info.workload.containers}
    sizes = template_sizes(info, ranges)
    before = in_force(info, current, ranges)
    parts = []
    for name, (bounds, knobs) in tuned(info).items():
        wish = _allowed(point.containers.get(name, Sizes()), bounds)
        target = wish.over(before[name].sizes)
        env = {}
        for knob in knobs:
            if knob.env in specs[name].env_opaque:
                continue
            value = point.knobs[knob.name].value if knob.name in point.knobs else before[name].env.get(knob.env)
            if value is not None and value != knob_value(specs[name], knob):
                env[knob.env] = value
        lent = point.lent.get(name, before[name].lent) if bounds is not None and bounds.cpu else NO_LOAN
        if env or lent.cpu > 0 or not target.same(sizes[name]):
            literal = {k.env: specs[name].env[k.env] for k in knobs if k.env in specs[name].env}
            parts.append(_part(name, target, before[name].sizes, sizes[name], env, literal, lent))
    if not parts:
        return None
    return ProfileEntry(config=info.config, on_delete=info.spec.on_delete, containers=parts)


def quantity(resource: str, value: float) -> Quantity:
    """The exact quantity of an amount that the API server holds (it rounds to thousandths)."""
    if resource == "cpu":
        return Quantity(format_cpu(value))
    if value >= 1 << 20 and value % (1 << 20) == 0:
        return Quantity(format_memory(value))
    thousandths = round(value * 1000)
    return Quantity(str(thousandths // 1000) if thousandths % 1000 == 0 else f"{thousandths}m")


def _part(
    name: str,
    target: Sizes,
    before: Sizes,
    template: Sizes,
    env: Mapping[str, int],
    literal: Mapping[str, str],
    lent: Lent,
) -> ProfileContainer:
    sets: dict[str, dict[str, Quantity]] = {"requests": {}, "limits": {}}
    learned: dict[str, dict[str, Quantity]] = {"requests": {}, "limits": {}}
    for attribute, side, resource in SIDES:
        wanted, stands = getattr(target, attribute), getattr(template, attribute)
        if not math.isnan(stands):
            learned[side][resource] = quantity(resource, stands)
        if math.isnan(wanted):
            continue
        known = [v for v in (stands, getattr(before, attribute)) if same(v, wanted)]
        if known:  # not rounded: a template's 100M must not become 96Mi
            sets[side][resource] = quantity(resource, known[0])
        else:
            sets[side][resource] = Quantity(format_cpu(wanted) if resource == "cpu" else format_memory(wanted))
    return ProfileContainer(
        name=name,
        requests=sets["requests"],
        limits=sets["limits"],
        env=dict(env),
        template_requests=learned["requests"],
        template_limits=learned["limits"],
        template_env=dict(literal),
        lent=_loan(lent),
    )


def _loan(lent: Lent) -> Loan | None:
    """A loan as the entry states it, in whole seconds as pods' creation times are."""
    if not lent.cpu > 0:
        return None
    before, until = (datetime.fromtimestamp(math.floor(at), UTC) for at in (lent.before, lent.until))
    return Loan(cpu=Quantity(format_cpu(lent.cpu)), created_before=before, until=until)


def _allowed(wish: Sizes, bounds: ContainerBounds | None) -> Sizes:
    """A wish without the resources that are not tuned."""
    cpu, memory = bounds is not None and bounds.cpu, bounds is not None and bounds.memory
    return Sizes(
        **{
            f.name: getattr(wish, f.name) if (cpu if f.name.startswith("cpu") else memory) else math.nan
            for f in fields(Sizes)
        }
    )


def _sizes(requests: Mapping[str, Quantity], limits: Mapping[str, Quantity]) -> Sizes:
    sides = {"requests": requests, "limits": limits}
    return Sizes(**{a: float(sides[side][r]) if r in sides[side] else math.nan for a, side, r in SIDES})
