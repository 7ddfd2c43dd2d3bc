"""The checks of levers, each of which looks at one thing and yields why a lever may not move."""

from collections.abc import Callable, Iterator

from trimtab.api.constraints import Knob
from trimtab.api.monitoring import Scope
from trimtab.api.reasons import Reason, find_reason
from trimtab.decide.observation import Lever
from trimtab.kube.records import ContainerSpec, PodRecord
from trimtab.kube.strip import HPA, SCALED_OBJECT, VPA
from trimtab.observe.cases import RESOURCES, WORD, Case, Finding

MAX_LABEL = 63
"""Characters of a label's value; the trial label holds the resource's name."""
Check = Callable[[Case], Iterator[Finding]]


def owners(case: Case) -> Iterator[Finding]:
    """An older resource, or a controller above the workload, takes every lever."""
    target = case.target
    for lever in Lever:
        if case.elder is not None:
            yield Finding(
                lever,
                Reason.OLDER_CONFIG_WINS,
                f"PerformanceConfig {case.elder.name} is older and tunes {case.name}; delete one of the two.",
            )
        if target.owner_kind:
            yield Finding(
                lever,
                Reason.OWNING_CONTROLLER,
                f"{case.name} is controlled by {target.owner_kind} {target.owner_name}, which would undo a change; "
                "target that resource if it has a scale subresource.",
            )


def wars(case: Case) -> Iterator[Finding]:
    """A manager that sets our values back."""
    for lever, war in case.wars.items():
        yield Finding(
            lever,
            Reason.REVERT_WAR,
            f"{war.manager} set the {WORD[lever]} of {case.name} back twice within 10 minutes; leave the field out "
            "of what it manages. Trimtab tries again after an hour or a change of the spec.",
        )


def kind_of_replicas(case: Case) -> Iterator[Finding]:
    """Replicas: which kinds have them, who consented, and whether the workload is stopped."""
    target, bounds = case.target, case.config.spec.optimization.constraints.replicas
    if target.kind == "DaemonSet" and case.built_in:
        yield Finding(
            Lever.REPLICAS,
            Reason.LEVER_NOT_SUPPORTED,
            f"{case.name} runs one pod a node and has no replica count; remove constraints.replicas.",
        )
    elif target.kind == "StatefulSet" and case.built_in and (bounds is None or not bounds.stateful_set_opt_in):
        yield Finding(
            Lever.REPLICAS,
            Reason.STATEFUL_SET_NOT_OPTED_IN,
            f"Replicas of {case.name} are not changed without consent; set constraints.replicas.statefulSetOptIn.",
        )
    if target.replicas == 0:
        yield Finding(
            Lever.REPLICAS,
            Reason.NO_READY_PODS,
            f"{case.name} is scaled to zero, which somebody meant; scale it up and Trimtab goes on.",
        )


def rivals(case: Case) -> Iterator[Finding]:
    """HPA, KEDA and VPA: each takes the levers that it moves or divides by, the latter unless opted in (RULES 7, 9)."""
    beside = case.config.spec.optimization.constraints.beside_hpa
    for rival in case.rivals:
        named = f"{rival.kind} {rival.name}"
        if rival.kind == VPA:
            if rival.update_mode == "Off":
                continue
            for lever in RESOURCES:
                yield Finding(
                    lever,
                    Reason.VPA_OWNS_RESOURCES,
                    f"{named} (mode {rival.update_mode}) sets the requests of {case.name}; set its mode to Off.",
                )
            continue
        reason = Reason.KEDA_OWNS_REPLICAS if rival.kind == SCALED_OBJECT else Reason.HPA_OWNS_REPLICAS
        yield Finding(
            Lever.REPLICAS,
            reason,
            f"{named} scales {case.name}; delete it, or remove constraints.replicas.",
        )
        if rival.scales_on_cpu and not beside.requests:
            yield Finding(
                Lever.CPU,
                Reason.HPA_USES_CPU,
                f"{named} scales {case.name} on CPU utilisation, so its CPU requests stay; delete it, drop cpu, or set "
                "constraints.besideHpa.requests.",
            )
        if rival.scales_on_memory and not beside.requests:
            yield Finding(
                Lever.MEMORY,
                Reason.HPA_USES_MEMORY,
                f"{named} scales {case.name} on memory utilisation, so its memory requests stay; delete it, drop "
                "memory, or set constraints.besideHpa.requests.",
            )
        if case.target.kind == "Deployment" and rival.kind in (HPA, SCALED_OBJECT) and not beside.knobs:
            yield Finding(
                Lever.KNOB,
                Reason.HPA_PRESENT,
                f"{named} would count a trial pod of {case.name}; delete it, remove constraints.knobs, or set "
                "constraints.besideHpa.knobs.",
            )


def unseen_rivals(case: Case) -> Iterator[Finding]:
    """Autoscalers that can't be listed: one that is not seen is not one that is not there."""
    if not case.unseen_rivals:
        return
    counted = case.target.kind == "Deployment" and not case.config.spec.optimization.constraints.beside_hpa.knobs
    for lever in (Lever.REPLICAS, *RESOURCES, *((Lever.KNOB,) if counted else ())):
        yield Finding(
            lever,
            Reason.RIVALS_UNKNOWN,
            f"{', '.join(case.unseen_rivals)} can't be listed, and one of them may move the {WORD[lever]} of "
            f"{case.name}; grant the operator list and watch on it.",
        )


def kind_of_resources(case: Case) -> Iterator[Finding]:
    """Requests and knobs: the built-in kinds only, and containers that the template has."""
    constraints = case.config.spec.optimization.constraints
    if not case.built_in:
        for lever in (*RESOURCES, Lever.KNOB):
            yield Finding(
                lever,
                Reason.LEVER_NOT_SUPPORTED,
                f"Of {case.name} only the replicas can be tuned; remove the {WORD[lever]} from constraints.",
            )
        return
    named: list[tuple[Lever, str, str]] = [(Lever.KNOB, knob.name, knob.container) for knob in constraints.knobs]
    for bounds in constraints.containers:
        named += [(Lever.CPU, bounds.name, bounds.name)] if bounds.cpu is not None else []
        named += [(Lever.MEMORY, bounds.name, bounds.name)] if bounds.memory is not None else []
    for lever, subject, container in named:
        if case.container(container) is None:
            yield Finding(
                lever,
                Reason.CONTAINER_NOT_FOUND,
                f"The template of {case.name} has no container {container}; name one of "
                f"{', '.join(c.name for c in case.target.containers[:8]) or 'its containers'}.",
                subject,
            )


def resize_of_pods(case: Case) -> Iterator[Finding]:
    """What the cluster, the node's system and the pods' class say against a resize in place (KEP-1287)."""
    if not case.built_in:
        return
    reason, message = None, ""
    pods = [pod for pod in case.pods if not pod.deleting]
    if not case.pod_resize:
        reason, message = Reason.RESIZE_UNAVAILABLE, "The cluster does not serve pods/resize; upgrade it to 1.33."
    elif case.qos == "BestEffort":
        reason = Reason.RESIZE_BEST_EFFORT
        message = f"Pods of {case.name} are BestEffort and can't get requests while they run; set some in the template."
    elif case.target.os == "windows" or any((pod.os or case.node_os.get(pod.node)) == "windows" for pod in pods):
        reason, message = Reason.RESIZE_WINDOWS, f"Pods of {case.name} run on Windows, which can't resize them."
    elif any(pod.has_resource_claims for pod in pods):
        reason = Reason.RESIZE_DYNAMIC_RESOURCES
        message = f"Pods of {case.name} have resource claims and can't be resized; tune replicas instead."
    elif any(pod.owner_kind == "Node" or _pinned(pod) for pod in pods):
        reason = Reason.RESIZE_STATIC_POLICY
        message = f"Pods of {case.name} have pinned CPUs or memory and can't be resized; tune replicas instead."
    if reason is not None:
        for lever in RESOURCES:
            yield Finding(lever, reason, message)


def restarts(case: Case) -> Iterator[Finding]:
    """Containers that a resize would restart: a disruption that nobody asked for."""
    for container in case.target.containers:
        for lever, restart in (
            (Lever.CPU, container.restart_on_cpu),
            (Lever.MEMORY, container.restart_on_memory),
        ):
            if restart:
                yield Finding(
                    lever,
                    Reason.RESIZE_RESTART_POLICY,
                    f"A {WORD[lever]} resize restarts container {container.name} of {case.name}; set its resizePolicy "
                    "to NotRequired.",
                    container.name,
                )


def swaps(case: Case) -> Iterator[Finding]:
    """Knobs: what the administrator, the cluster and the template say against trials."""
    if not case.built_in:
        return
    if not case.knobs_enabled:
        yield Finding(
            Lever.KNOB,
            Reason.KNOBS_DISABLED,
            "Knobs are switched off for the operator; set knobs.enabled in the chart's values.",
        )
    if not case.shapes_new_pods:
        yield Finding(
            Lever.KNOB,
            Reason.ADMISSION_POLICY_MISSING,
            "A knob value can't be kept on new pods without the admission policy; enable admissionPolicy in the "
            "chart's values (Kubernetes 1.36).",
        )
    if case.target.kind == "Deployment" and len(case.config.name) > MAX_LABEL:
        yield Finding(
            Lever.KNOB,
            Reason.LEVER_NOT_SUPPORTED,
            f"The name of this PerformanceConfig is longer than {MAX_LABEL} characters, too long for the label of "
            "trial pods; give it a shorter one.",
        )
    for refusal in case.target.swap_refusals:
        reason, _, phrase = refusal.partition(": ")
        yield Finding(
            Lever.KNOB,
            find_reason(reason) or Reason.LEVER_NOT_SUPPORTED,
            f"{case.name} can't run a trial pod beside the others: {phrase}.",
        )
    spec = case.config.spec
    targets = [metric for metric in spec.monitoring.metrics if metric.name in spec.optimization.target_metrics]
    if targets and not any(metric.scope is Scope.WORKLOAD for metric in targets):
        yield Finding(
            Lever.KNOB,
            Reason.KNOB_METRIC_WITHOUT_PODS,
            f"No metric of targetMetrics can be told apart by pod, so a trial of {case.name} can't be judged; use one "
            "with scope: Workload.",
        )


def variables(case: Case) -> Iterator[Finding]:
    """Knob variables: plain integers of the template, or allow-listed (RULES 5)."""
    for knob in case.config.spec.optimization.constraints.knobs:
        container = case.container(knob.container)
        if container is None or not case.built_in:
            continue
        found = _variable(case, knob, container)
        if found is not None:
            reason, message = found
            yield Finding(Lever.KNOB, reason, message, knob.name)


def _variable(case: Case, knob: Knob, container: ContainerSpec) -> tuple[Reason, str] | None:
    where = f"{knob.env} of container {container.name} of {case.name}"
    if knob.env in container.env_repeated:
        return (
            Reason.KNOB_ENV_NOT_INTEGER,
            f"{where} is set more than once; set it once, to a plain integer, in the template.",
        )
    if knob.env in container.env_from:
        return Reason.KNOB_ENV_VALUE_FROM, f"{where} is set by valueFrom; write it as a plain integer in the template."
    if knob.env in container.env_opaque:
        return Reason.KNOB_ENV_NOT_INTEGER, f"{where} is no integer; write it as a plain integer in the template."
    if knob.env in container.env:
        return None
    if knob.env not in case.env_allow_list:
        return (
            Reason.KNOB_ENV_MISSING,
            f"{where} is not in the template; add it there, or have the administrator allow-list it.",
        )
    if knob.default is None:
        return (
            Reason.KNOB_ENV_MISSING,
            f"{where} is not in the template and knob {knob.name} has no default; give one of the two.",
        )
    return None


def _pinned(pod: PodRecord) -> bool:
    """Whether the kubelet said that a static CPU or memory manager holds the pod."""
    message = pod.resize_message.lower()
    return pod.resize == "Infeasible" and "static" in message and "manager" in message


CHECKS: tuple[Check, ...] = (
    owners,
    wars,
    kind_of_replicas,
    rivals,
    unseen_rivals,
    kind_of_resources,
    resize_of_pods,
    restarts,
    swaps,
    variables,
)
"""In the order in which people should read what they find."""
