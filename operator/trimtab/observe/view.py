"""One resource at one tick: all that was looked up about it, before it becomes rows."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from trimtab.api.answers import Answer, AnswerKind, no_value
from trimtab.api.reasons import Reason
from trimtab.api.settings import Mode, OperatorSettings
from trimtab.api.tuningprofile import ProfileEntry
from trimtab.decide.observation import Lever
from trimtab.decide.plan import Remark
from trimtab.kube.records import PodRecord, WorkloadRecord
from trimtab.kube.world import World
from trimtab.observe.asker import Asker, Population
from trimtab.observe.board import Kept
from trimtab.observe.builtin import Builtin, Readings
from trimtab.observe.cases import Case
from trimtab.observe.config import ConfigRecord
from trimtab.observe.conflicts import Hold, War
from trimtab.observe.inforce import InForce, entry_of, in_force
from trimtab.observe.levers import Levers, judge
from trimtab.observe.meters import Plans
from trimtab.observe.spent import Spent
from trimtab.observe.targets import Found, is_rolling_out
from trimtab.observe.windows import WindowVerdict

TUNING, LIMITED = "Tuning", "Limited"
ROOM_SECONDS = 60.0
"""A pod waits so long for a node before it is told: node autoscalers answer in about that time."""


@dataclass(slots=True)
class View:
    """What is known of one resource whose workload was found."""

    config: ConfigRecord
    found: Found
    target: WorkloadRecord
    plans: Plans
    pods: tuple[PodRecord, ...]
    trials: tuple[PodRecord, ...]
    levers: Levers
    stopped: tuple[Reason, str] | None
    window: WindowVerdict
    entry: ProfileEntry | None
    forces: Mapping[str, InForce]
    """By container of the template."""
    hold: Hold | None
    due: bool
    recommends: bool = False
    """Nothing may be moved, and what would be is told."""
    remarks: list[Remark] = field(default_factory=list)
    metrics: dict[str, Answer] = field(default_factory=dict)
    fast: Kept[dict[Builtin, Readings]] | None = None
    slow: Kept[dict[Builtin, Readings]] | None = None
    spent: Spent | None = None
    """What it costs now; None before prices are known."""
    arrival: float = math.nan
    trial_latency: float = math.nan
    base_latency: float = math.nan
    trial_rate: float = math.nan
    base_rate: float = math.nan
    live: list[PodRecord] = field(init=False)
    """Pods that are there to stay: not being deleted, not ended, trial pods left out."""
    live_trials: list[PodRecord] = field(init=False)
    """Trial pods that are there to stay."""
    tuned: tuple[str, ...] = field(init=False)
    """Names of the containers whose requests are tuned and that the template has."""

    def __post_init__(self) -> None:
        self.live = [pod for pod in self.pods if _stays(pod)]
        self.live_trials = [pod for pod in self.trials if _stays(pod)]
        listed = self.config.spec.optimization.constraints.containers
        self.tuned = tuple(container.name for container in listed if container.name in self.forces)

    @property
    def measured(self) -> tuple[str, ...]:
        """Containers whose CPU is the workload's: the tuned ones, or all where none is."""
        return self.tuned or tuple(self.forces)

    @property
    def interval(self) -> float:
        """Seconds between two samples, by sampleRate."""
        return self.config.interval

    @property
    def source(self) -> str:
        """Name of the datasource."""
        return self.config.spec.monitoring.datasource

    def population(self, pods: Collection[PodRecord]) -> Population:
        """These pods as what a query is about."""
        return Population(
            self.target.namespace, self.target.kind, self.target.name, tuple(sorted(pod.name for pod in pods))
        )

    @property
    def everybody(self) -> Population:
        """All pods, trial pods and those being deleted included: all of them serve requests."""
        return self.population([*self.pods, *self.trials])


def build_view(
    config: ConfigRecord,
    found: Found,
    target: WorkloadRecord,
    plans: Plans,
    world: World,
    settings: OperatorSettings,
    *,
    elder: ConfigRecord | None,
    wars: dict[Lever, War],
    hold: Hold | None,
    window: WindowVerdict,
    due: bool,
    now: float,
) -> View:
    """Look up what the mirrors know and judge the levers."""
    pods = tuple(world.pods_of(target))
    trials = tuple(world.trial_pods(config.namespace, config.name))
    nodes = {pod.node: node.os for pod in pods if pod.node and (node := world.node(pod.node)) is not None}
    cluster = world.capabilities
    shapes = settings.admission_policy_enabled and cluster.shapes_new_pods
    levers = judge(
        Case(
            config=config,
            target=target,
            pods=pods,
            rivals=tuple(world.rivals(target)),
            unseen_rivals=world.unseen_rivals,
            elder=elder,
            wars=wars,
            node_os=nodes,
            knobs_enabled=settings.knobs_enabled,
            env_allow_list=frozenset(settings.env_allow_list),
            shapes_new_pods=shapes,
            pod_resize=cluster.pod_resize is not False,
        )
    )
    profile = world.profile(config.namespace)
    stopped = stop_reason(config, target, world, settings, elder)
    advised = (Reason.RECOMMEND_ONLY, Reason.OPERATOR_MODE)
    entry = entry_of(profile, config, target)
    view = View(
        config=config,
        found=found,
        target=target,
        plans=plans,
        pods=pods,
        trials=trials,
        levers=levers,
        stopped=stopped,
        recommends=stopped is not None and stopped[0] in advised and settings.mode is not Mode.OBSERVE,
        window=window,
        entry=entry,
        forces={container.name: in_force(container, entry) for container in target.containers},
        hold=hold,
        due=due,
    )
    view.remarks += _remarks(view, profile.problem if profile is not None else "", now)
    return view


def stop_reason(
    config: ConfigRecord,
    target: WorkloadRecord,
    world: World,
    settings: OperatorSettings,
    elder: ConfigRecord | None,
) -> tuple[Reason, str] | None:
    """Why nothing may be moved (RULES 10, 15); None when moves may be made."""
    pause = "remove the annotation trimtab.dev/pause to go on"
    if config.paused:
        return Reason.PAUSED, f"This resource is paused; {pause}."
    if target.annotations_paused:
        return Reason.PAUSED, f"{target.kind} {target.name} is paused; {pause}."
    if world.namespace_paused(config.namespace):
        return Reason.PAUSED, f"Namespace {config.namespace} is paused; {pause}."
    if elder is not None:
        return (
            Reason.OLDER_CONFIG_WINS,
            f"PerformanceConfig {elder.name} is older and tunes {target.kind} {target.name}; delete one of the two.",
        )
    if not config.spec.optimization.auto_tune:
        return Reason.RECOMMEND_ONLY, "autoTune is false; set spec.optimization.autoTune to let Trimtab act."
    if settings.mode is not Mode.ACT:
        return (
            Reason.OPERATOR_MODE,
            f"The operator's mode is {settings.mode}; set mode: Act in the chart's values.",
        )
    return None


def _remarks(view: View, profile_problem: str, now: float) -> list[Remark]:
    found = []
    target = view.target
    outdated = sorted(name for name, force in view.forces.items() if force.outdated)
    if outdated:
        found.append(
            Remark(
                TUNING,
                Reason.TEMPLATE_CHANGED,
                f"The template of {target.kind} {target.name} changed container {', '.join(outdated)}; its values hold "
                "and learning starts from them.",
            )
        )
    if is_rolling_out(target):
        found.append(
            Remark(
                TUNING,
                Reason.ROLLOUT_IN_PROGRESS,
                f"{target.kind} {target.name} is rolling out ({target.updated_replicas} of {target.status_replicas} "
                "pods are new); cuts, trials and knob steps wait.",
            )
        )
    if view.window.invalid:
        found.append(Remark(TUNING, Reason.WINDOW_INVALID, f"{view.window.invalid} Until then it counts as closed."))
    elif view.window.closed:
        found.append(Remark(TUNING, Reason.WINDOW_CLOSED, f"{view.window.message} Cuts, trials and knob steps wait."))
    if not any(pod.ready for pod in view.live):
        found.append(Remark(TUNING, Reason.NO_READY_PODS, f"No pod of {target.kind} {target.name} is ready."))
    if view.hold is not None:
        found.append(
            Remark(
                LIMITED,
                Reason.HUMAN_HOLD,
                f"{view.hold.manager} set the replicas of {target.kind} {target.name} to {view.hold.value}; they are "
                "left alone for humanHoldSeconds.",
            )
        )
    pods = (*view.live, *view.live_trials)
    waiting = [pod for pod in pods if pod.unschedulable and now - pod.unschedulable_since >= ROOM_SECONDS]
    if waiting:
        found.append(
            Remark(
                LIMITED,
                Reason.PODS_UNSCHEDULABLE,
                f"{len(waiting)} of {len(pods)} pods of {target.kind} {target.name} find no node "
                f"({waiting[0].unschedulable}); add room, or lower replicas.max or the requests.",
            )
        )
    if view.levers.fallback:
        found.append(Remark(LIMITED, Reason.ADMISSION_POLICY_MISSING, view.levers.fallback))
    if profile_problem:
        found.append(
            Remark(
                LIMITED,
                Reason.INTERNAL_ERROR,
                f"TuningProfile trimtab can't be read ({profile_problem}); delete it and it is written anew.",
            )
        )
    return found


def register(view: View, asker: Asker) -> None:
    """Say what this resource wants to know this tick."""
    key, source, interval = view.config.key, view.source, view.interval
    if view.plans.datasource is None:
        return
    asker.want_usage(source, view.config.namespace, interval)
    everybody = view.everybody
    for plan in view.plans.metrics:
        asker.want((key, plan.metric.name), source, plan.meter, everybody, interval)
    if view.plans.arrival is not None and not view.plans.arrival_name:
        asker.want((key, "", "arrival"), source, view.plans.arrival, everybody, interval)
    for side, pods in _sides(view).items():
        if view.plans.judged is not None:
            asker.want((key, "", side), source, view.plans.judged.meter, view.population(pods), interval)
        if view.plans.arrival is not None:
            asker.want((key, "", f"{side} rate"), source, view.plans.arrival, view.population(pods), interval)


def take_answers(view: View, asker: Asker, now: float) -> None:
    """Read what came back."""
    key, source, interval = view.config.key, view.source, view.interval
    everybody = view.everybody
    if view.plans.datasource is None:
        for plan in view.plans.metrics:
            view.metrics[plan.metric.name] = asker.answer(
                (key, plan.metric.name), source, plan.meter, everybody, interval, now
            )
        return
    view.fast, view.slow = asker.fast(source, view.config.namespace), asker.slow(source, view.config.namespace)
    for plan in view.plans.metrics:
        view.metrics[plan.metric.name] = asker.answer(
            (key, plan.metric.name), source, plan.meter, everybody, interval, now
        )
    arrival = view.plans.arrival
    if view.plans.arrival_name:
        view.arrival = _rate(view.metrics[view.plans.arrival_name])
    elif arrival is not None:
        view.arrival = _rate(asker.answer((key, "", "arrival"), source, arrival, everybody, interval, now))
    for side, pods in _sides(view).items():
        population = view.population(pods)
        latency = rate = no_value(AnswerKind.EMPTY, "")
        if view.plans.judged is not None:
            latency = asker.answer((key, "", side), source, view.plans.judged.meter, population, interval, now)
        if arrival is not None:
            rate = asker.answer((key, "", f"{side} rate"), source, arrival, population, interval, now)
        if side == "trial":
            view.trial_latency, view.trial_rate = latency.value, _rate(rate)
        else:
            view.base_latency, view.base_rate = latency.value, _rate(rate)


def _sides(view: View) -> dict[str, list[PodRecord]]:
    """The two sides of a trial while there is one: the same query over the trial pod and over the others (RULES 21)."""
    trials = [pod for pod in view.live_trials if pod.ready]
    base = [pod for pod in view.live if pod.ready]
    return {"trial": trials, "base": base} if trials and base else {}


def _rate(answer: Answer) -> float:
    """Requests a second; an answer without traffic is 0 requests, every other one without a number is unknown."""
    if answer.kind is AnswerKind.NO_TRAFFIC:
        return 0.0
    return max(0.0, answer.value) if answer.known else math.nan


def _stays(pod: PodRecord) -> bool:
    return not pod.deleting and pod.phase not in ("Succeeded", "Failed")
