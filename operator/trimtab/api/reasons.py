"""Every reason that a condition, a decision or an event can carry, with its cause and its remedy.

The only list of them: the code uses the members, the reference documentation is made from `REASONS`.
"""

from enum import StrEnum

from trimtab.api.reasondoc import ReasonDoc, ReasonKind

__all__ = ["CONFLICTS", "REASONS", "Reason", "ReasonDoc", "ReasonKind", "find_reason"]

_C, _L, _M = ReasonKind.CONDITION, ReasonKind.LIMITED, ReasonKind.METRIC
_D, _E = ReasonKind.DECISION, ReasonKind.EVENT
_NONE = "Nothing to do."


class Reason(StrEnum):
    """A CamelCase reason; its value is what `kubectl describe` shows, `doc` says what it means."""

    doc: ReasonDoc

    def __new__(cls, value: str, kind: ReasonKind, title: str, cause: str, remedy: str) -> "Reason":
        """A member whose value is the CamelCase name, with its documentation beside it."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.doc = ReasonDoc(title, cause, remedy, kind)
        return member

    # A table, read by rows: reason, kind, title / cause / remedy.
    # fmt: off

    # How far the resource itself is
    PENDING = ("Pending", _C, "Not looked at yet",
        "The resource is new, or the operator has just started.", "Wait for one tick (15 s by default).")
    PROGRESSING = ("Progressing", _C, "Being worked on",
        "A change of the resource or the workload is being taken in, or a move is under way.", _NONE)
    UP_TO_DATE = ("UpToDate", _C, "As it should be",
        "The newest generation was taken in and nothing is under way.", _NONE)
    SPEC_INVALID = ("SpecInvalid", _C, "The spec can't be used",
        "A field has a value that the API server could not check, or that an older schema let in.",
        "Correct the fields that the message names; `trimtab check FILE` finds them before you apply.")
    WINDOW_INVALID = ("WindowInvalid", _C, "A window can't be read",
        "The cron fields or the time zone of a disruption window do not exist.",
        "Write five cron fields such as 0 9 * * 1-5 and an IANA zone such as Europe/Paris.")
    INTERNAL_ERROR = ("InternalError", _C, "Trimtab failed on this resource",
        "A fault in Trimtab; other resources are not touched by it.",
        "Report it with the operator's log of this resource; nothing is moved until it works again.")

    # The workload
    TARGET_FOUND = ("TargetFound", _C, "The workload is there",
        "targetRef names a workload that exists.", _NONE)
    TARGET_NOT_FOUND = ("TargetNotFound", _C, "No such workload",
        "targetRef names a workload that is not in this namespace.",
        "Create the workload, or delete this resource and create one with the right name.")
    TARGET_FORBIDDEN = ("TargetForbidden", _C, "The workload may not be read",
        "The operator has no permission on this kind.",
        "Add the kind to rbac.extraScaleTargets in the chart's values.")
    KIND_NOT_SUPPORTED = ("KindNotSupported", _C, "This kind can't be tuned",
        "The kind does not exist in the cluster or has no scale subresource.",
        "Name a Deployment, StatefulSet, DaemonSet or a kind with a scale subresource.")
    NAMESPACE_EXCLUDED = ("NamespaceExcluded", _C, "This namespace is left alone",
        "kube-system, the operator's own namespace and those outside its scope are never tuned.",
        "Move the workload to another namespace, or widen the scope in the chart's values.")
    NO_READY_PODS = ("NoReadyPods", _C, "No pod is ready",
        "The workload has no ready pod, or was scaled to zero.",
        "Start the workload; Trimtab goes on by itself.")
    CONTAINER_NOT_FOUND = ("ContainerNotFound", _L, "No such container",
        "constraints name a container that the pod template lacks, such as an injected sidecar.",
        "Name a container of the pod template.")

    # Whether it is tuned
    ACTIVE = ("Active", _C, "Tuning", "Trimtab observes, decides and acts.", _NONE)
    VERIFYING = ("Verifying", _C, "A move is being watched",
        "A move is within verifySeconds; savings and trials wait, raises don't.", "Wait for its outcome.")
    RECOMMEND_ONLY = ("RecommendOnly", _C, "Only recommending", "autoTune is false.",
        "Set spec.optimization.autoTune to true to let Trimtab act.")
    OPERATOR_MODE = ("OperatorMode", _C, "The operator may not act",
        "The chart's mode is Observe or Recommend.", "Set mode: Act in the chart's values.")
    PAUSED = ("Paused", _C, "Paused by annotation",
        "trimtab.dev/pause is set on the resource, the workload or the namespace.",
        "Remove the annotation trimtab.dev/pause to go on.")
    MONITORING_DISABLED = ("MonitoringDisabled", _C, "Switched off", "spec.monitoring.enabled is false.",
        "Set spec.monitoring.enabled to true.")
    LEARNING_HISTORY = ("LearningHistory", _C, "Learning",
        "Less usage is known than minHistorySeconds; nothing is cut before, raises go on.",
        "Wait; status.learning says how far it is, and history in Prometheus counts.")
    TEMPLATE_CHANGED = ("TemplateChanged", _C, "The template changed",
        "The pod template's requests, limits or knobs are new; they win and learning starts from them.",
        _NONE)
    ROLLOUT_IN_PROGRESS = ("RolloutInProgress", _C, "Frozen: rollout",
        "The workload is rolling out; cuts, trials and knob steps wait.", "Let the rollout end, or undo it.")
    WINDOW_CLOSED = ("WindowClosed", _C, "Frozen: outside the windows",
        "disruption.windows do not allow cuts, trials and knob steps now.", "Wait, or change the windows.")
    BUDGET_SPENT = ("BudgetSpent", _C, "Frozen: today's moves are used up",
        "maxMovesPerDay or maxResizesPerDay is reached.", "Wait, or raise them in constraints.disruption.")
    BUDGET_BURNING = ("BudgetBurning", _C, "Frozen: an error budget burns fast",
        "A page of an objective's burn rate fires; cuts, trials and knob steps wait, raises don't.",
        "Look at status.slo and status.alerts.")
    LATENCY_UNKNOWN = ("LatencyUnknown", _C, "Frozen: the target metric has no number",
        "A metric of targetMetrics is missing; cuts, trials and knob steps wait.",
        "Look at the condition MetricsAvailable.")
    FLEET_STOPPED = ("FleetStopped", _C, "Stopped everywhere",
        "Too large a share of moves was rolled back; Trimtab stopped moving anything but emergencies.",
        "Look at the decisions rolled back, then annotate the operator's Lease with trimtab.dev/resume=TIME.")
    RATE_LIMITED = ("RateLimited", _C, "Waiting for its turn",
        "The fleet-wide cap on changes a minute is reached; emergencies go first.",
        "Wait, or raise the cap in the chart's values.")

    # Metrics
    ALL_METRICS_KNOWN = ("AllMetricsKnown", _M, "Every metric has a number",
        "Every query gave one number.", _NONE)
    NO_METRICS_DECLARED = ("NoMetricsDeclared", _M, "Only built-in metrics",
        "spec.monitoring.metrics is empty.", "Declare a latency metric to tune towards a target.")
    DATASOURCE_UNKNOWN = ("DatasourceUnknown", _M, "No such datasource",
        "spec.monitoring.datasource names none that the administrator configured.",
        "Use a name of datasources in the chart's values; `default` is the usual one.")
    DATASOURCE_UNAVAILABLE = ("DatasourceUnavailable", _M, "Prometheus does not answer",
        "Queries fail or time out; after several the operator asks less often.",
        "Check that the operator reaches the URL of the datasource.")
    PROMQL_INVALID = ("PromQLInvalid", _M, "The query can't be parsed", "The PromQL has a syntax error.",
        "Correct the query; `trimtab check FILE` shows where it breaks.")
    PROMQL_REFUSED = ("PromQLRefused", _M, "The query is not allowed",
        "It uses what can't be confined to the namespace, such as info() or a matcher on the tenant label.",
        "Rewrite the query without it.")
    PRESET_UNKNOWN = ("PresetUnknown", _M, "No such preset", "metrics[].preset names none.",
        "`trimtab presets` lists them; the administrator can add some in the chart's values.")
    METRIC_EMPTY = ("MetricEmpty", _M, "No series",
        "The query matches nothing under the matchers that Trimtab adds.",
        "Check the metric's name and its namespace and pod labels; scope: Namespace leaves the pods out.")
    METRIC_STALE = ("MetricStale", _M, "Old samples", "The newest sample is older than two scrape intervals.",
        "Check that Prometheus scrapes the pods.")
    METRIC_NAN = ("MetricNaN", _M, "Not a number", "The query gave NaN, such as 0/0.",
        "Guard the division, or declare the request rate so that no traffic can be told.")
    METRIC_INF = ("MetricInf", _M, "Infinite",
        "The query gave infinity, such as a quantile in the +Inf bucket.",
        "Add larger buckets to the histogram, or guard the division.")
    METRIC_AMBIGUOUS = ("MetricAmbiguous", _M, "Many series", "The query gave more than one number.",
        "Aggregate it to one, such as with sum or max.")
    METRICS_ERROR = ("MetricsError", _M, "The query failed",
        "Prometheus refused or could not finish the query.",
        "Correct what the message quotes of Prometheus, or run the query there; make it cheaper if it times out.")
    NO_TRAFFIC = ("NoTraffic", _M, "No requests now",
        "The request rate is zero, so latency has no number; the target counts as met.", _NONE)
    PRICE_UNKNOWN = ("PriceUnknown", _M, "A cost has no number",
        "A price or the size of a claim is missing, or prices are in another currency.",
        "Do what the message says; docs/cost.md has what is measured and how.")
    QUERY_BUDGET_SPENT = ("QueryBudgetSpent", _M, "Asked less often",
        "The datasource's query budget is used up; the last answer and its age are used.",
        "Lower sampleRate, or raise the budget in the chart's values.")

    # Limits of levers
    WITHIN_LIMITS = ("WithinLimits", _L, "Nothing limits a move", "Every wanted move is allowed.", _NONE)
    TARGET_UNREACHABLE = ("TargetUnreachable", _L, "The target can't be reached",
        "Three raises in a row did not help; the last was taken back and capacity is held.",
        "Look for a bottleneck elsewhere, widen constraints or relax targetMetrics.")
    REPLICAS_AT_MAX = ("ReplicasAtMax", _L, "No more replicas allowed", "replicas.max is reached.",
        "Raise constraints.replicas.max.")
    CPU_AT_MAX = ("CPUAtMax", _L, "No more CPU allowed", "cpu.max of a container is reached.",
        "Raise constraints.containers[].cpu.max.")
    MEMORY_AT_MAX = ("MemoryAtMax", _L, "No more memory allowed", "memory.max of a container is reached.",
        "Raise constraints.containers[].memory.max, or look for a leak.")
    MEMORY_CEILING = ("MemoryCeiling", _L, "The workload's memory is used up",
        "The sum over its pods reaches resources.maxMemory; nothing grows, nothing is cut for it.",
        "Raise spec.resources.maxMemory.")
    BATCH_CEILING = ("BatchCeiling", _L, "No larger batch allowed", "resources.maxBatchSize is reached.",
        "Raise spec.resources.maxBatchSize.")
    CONCURRENCY_CEILING = ("ConcurrencyCeiling", _L, "No more concurrency allowed",
        "resources.maxConcurrency is reached.", "Raise spec.resources.maxConcurrency.")
    CEILING_LOWERED = ("CeilingLowered", _L, "Moving under a lowered ceiling",
        "A constraint is now below what runs; it is obeyed step by step.", _NONE)
    FIRST_MOVE_CAPPED = ("FirstMoveCapped", _L, "A small first step",
        "The first move of a lever is at most 25%.", _NONE)
    HUMAN_HOLD = ("HumanHold", _L, "Replicas left as a person set them",
        "The replica count was set by a person less than humanHoldSeconds ago.", "Wait, or shorten it.")
    LEVER_NOT_SUPPORTED = ("LeverNotSupported", _L, "This kind has no such lever",
        "A DaemonSet has no replicas; kinds beyond the built-in ones have replicas only.",
        "Remove the lever from constraints.")
    STATEFUL_SET_NOT_OPTED_IN = ("StatefulSetNotOptedIn", _L, "Replicas of a StatefulSet",
        "They are not changed without consent, since each replica has its own data.",
        "Set constraints.replicas.statefulSetOptIn to true.")
    SCALE_FORBIDDEN = ("ScaleForbidden", _L, "May not scale this kind",
        "The operator has no right to its /scale.", "Add the kind to rbac.extraScaleTargets in the chart's values.")
    RIVALS_UNKNOWN = ("RivalsUnknown", _L, "Other autoscalers can't be seen",
        "HPAs, ScaledObjects or VPAs can't be listed; the levers that one of them could move stay.",
        "Grant the operator list and watch on the collection that the message names.")
    PODS_UNSCHEDULABLE = ("PodsUnschedulable", _L, "Pods find no node",
        "For a minute and more the scheduler has found no node for pods of the workload, or for a trial pod.",
        "The message has the scheduler's words: add nodes, or lower replicas.max or the requests.")

    # Requests
    ADMISSION_POLICY_MISSING = ("AdmissionPolicyMissing", _L, "New pods start with the template's values",
        "The cluster is older than 1.36 or admissionPolicy.enabled is false; pods are resized after start.",
        "Upgrade the cluster, or enable admissionPolicy in the chart's values.")
    QUOTA_EXCEEDED = ("QuotaExceeded", _L, "The namespace's quota is used up",
        "The move does not fit the ResourceQuota.", "Raise the quota.")
    LIMIT_RANGE = ("LimitRange", _L, "The namespace's LimitRange forbids it",
        "The wanted value is outside the LimitRange; the nearest allowed one is used.", "Widen the LimitRange.")
    RESIZE_UNAVAILABLE = ("ResizeUnavailable", _L, "The cluster can't resize pods",
        "pods/resize is not served.", "Upgrade the cluster; new pods are shaped meanwhile.")
    RESIZE_BEST_EFFORT = ("ResizeBestEffort", _L, "Running pods have no requests",
        "A BestEffort pod can't be resized, its QoS class may not change.", "Set requests in the template.")
    RESIZE_INFEASIBLE = ("ResizeInfeasible", _L, "It does not fit the node",
        "The node is too small for the wanted size; the resize was taken back.",
        "Lower the container's max, or use larger nodes.")
    RESIZE_DEFERRED = ("ResizeDeferred", _L, "The node is full now",
        "The resize waits for room on the node.", "Wait, or add nodes.")
    RESIZE_RESTART_POLICY = ("ResizeRestartPolicy", _L, "A resize restarts the container",
        "resizePolicy is RestartContainer, so a resize counts as a move.",
        "Use NotRequired, or allow more in disruption.maxMovesPerDay.")
    RESIZE_WINDOWS = ("ResizeWindows", _L, "Windows pods can't be resized", "The pods run on Windows.",
        "Tune replicas instead.")
    RESIZE_STATIC_POLICY = ("ResizeStaticPolicy", _L, "Pinned CPUs or memory",
        "The node's static CPU or memory manager holds the pod.", "Tune replicas instead.")
    RESIZE_DYNAMIC_RESOURCES = ("ResizeDynamicResources", _L, "Pods with device claims",
        "Pods with resource claims are not resized.", "Tune replicas instead.")
    MEMORY_LIMIT_BELOW_TEMPLATE = ("MemoryLimitBelowTemplate", _L, "The memory limit stays",
        "Scale would lower the memory limit below the template's.",
        "Set allowMemoryLimitBelowTemplate to true for the container.")
    NEEDS_RESTART = ("NeedsRestart", _L, "The process does not use what it got",
        "A raise changed nothing, as for threads or a heap that are sized at start; it was rolled back.",
        "Raise the limit in the pod template, which restarts the pods, or size threads and heap by the limit.")

    # Knobs
    KNOBS_DISABLED = ("KnobsDisabled", _L, "Knobs are off", "knobs.enabled is false in the chart's values.",
        "Enable it; it lets the operator create and evict pods.")
    KNOB_ENV_VALUE_FROM = ("KnobEnvValueFrom", _L, "The variable comes from elsewhere",
        "The template sets it with valueFrom.", "Write it as a plain integer in the template.")
    KNOB_ENV_NOT_INTEGER = ("KnobEnvNotInteger", _L, "The variable is no integer",
        "The template sets it to text.", "Write it as a plain integer in the template.")
    KNOB_ENV_MISSING = ("KnobEnvMissing", _L, "The variable is not in the template",
        "A variable set from a resource alone could be code, so the template has to name it.",
        "Add it to the template, or have the administrator allow-list it.")
    KNOB_METRIC_WITHOUT_PODS = ("KnobMetricWithoutPods", _L, "Pods can't be compared",
        "No target metric can be told apart by pod, so a trial can't be judged.",
        "Use scope: Workload and a metric with a pod label.")
    SWAP_REFUSED_VOLUME = ("SwapRefusedVolume", _L, "A volume for one pod",
        "The pods mount a ReadWriteOnce volume.", "Use a shared volume, or drop the knobs.")
    SWAP_REFUSED_HOST_PORT = ("SwapRefusedHostPort", _L, "A host port", "The pods use a hostPort.",
        "Use a Service instead, or drop the knobs.")
    SWAP_REFUSED_ANTI_AFFINITY = ("SwapRefusedAntiAffinity", _L, "One pod a node",
        "Required anti-affinity by hostname leaves no room for a second pod.", "Make it preferred.")
    STRATEGY_RECREATE = ("StrategyRecreate", _L, "Old and new pods may not meet",
        "The Deployment's strategy is Recreate.", "Use RollingUpdate, or drop the knobs.")
    PDB_BLOCKS = ("PdbBlocks", _L, "A disruption budget blocks",
        "A PodDisruptionBudget allows no eviction now.", "Wait until more pods are ready, or loosen the budget.")
    HPA_PRESENT = ("HpaPresent", _L, "An HPA counts the pods",
        "A trial pod would count in the HPA of this workload.", "Set besideHpa.knobs, or remove the HPA.")
    CANARY_NOT_READY = ("CanaryNotReady", _L, "The trial pod did not start",
        "It was not ready by its deadline and was removed.", "Look at its events and logs.")

    # Conflicts
    NO_CONFLICT = ("NoConflict", _C, "No other controller", "Nobody else moves the same levers.", _NONE)
    HPA_OWNS_REPLICAS = ("HpaOwnsReplicas", _C, "An HPA sets the replicas",
        "A HorizontalPodAutoscaler targets the workload.", "Delete it, or remove constraints.replicas.")
    HPA_USES_CPU = ("HpaUsesCpu", _C, "An HPA divides by the CPU request",
        "It scales on CPU utilisation: the CPU request stays.", "Delete it, drop cpu, or set besideHpa.requests.")
    HPA_USES_MEMORY = ("HpaUsesMemory", _C, "An HPA divides by the memory request",
        "It scales on memory utilisation: the request stays.", "Delete it, drop memory, or set besideHpa.requests.")
    KEDA_OWNS_REPLICAS = ("KedaOwnsReplicas", _C, "KEDA sets the replicas",
        "A ScaledObject targets the workload.", "Delete it, or remove constraints.replicas.")
    VPA_OWNS_RESOURCES = ("VpaOwnsResources", _C, "A VPA sets the requests",
        "A VerticalPodAutoscaler updates the workload.", "Set its mode to Off, or remove the containers.")
    OWNING_CONTROLLER = ("OwningController", _C, "The workload belongs to a controller",
        "Its controller would undo a change.", "Target the owning resource, if it has a scale subresource.")
    REVERT_WAR = ("RevertWar", _C, "Somebody undoes the moves",
        "A value was set back twice within 10 minutes by the manager that the message names.",
        "Make that manager leave the field alone; for replicas, leave the field out of Git.")
    OLDER_CONFIG_WINS = ("OlderConfigWins", _C, "Two resources for one workload",
        "An older PerformanceConfig targets the same workload.", "Delete one of the two.")

    # Decisions and their events
    RAISED_AFTER_OOM = ("RaisedAfterOOM", _D, "More memory after an OOM kill",
        "A container was killed for lack of memory.", "Look for a leak if it happens again.")
    RAISED_FOR_THROTTLING = ("RaisedForThrottling", _D, "More CPU against throttling",
        "A container spent too large a share of its periods throttled.", _NONE)
    RAISED_FOR_USAGE = ("RaisedForUsage", _D, "Larger requests", "Usage outgrew the request.", _NONE)
    RAISED_FOR_TARGET = ("RaisedForTarget", _D, "More capacity for the target", "A target was missed.", _NONE)
    CUT_UNUSED = ("CutUnused", _D, "Smaller requests", "Part of the request was never used.", _NONE)
    SCALED_UP = ("ScaledUp", _D, "More replicas", "The load needs more pods.", _NONE)
    SCALED_DOWN = ("ScaledDown", _D, "Fewer replicas", "The load needs fewer pods.", _NONE)
    SURGE_BRIDGED = ("SurgeBridged", _D, "CPU lent to running pods",
        "The load needs more pods than are ready; until they are, the running ones have more CPU, within what their "
        "nodes have free and the constraints allow.", _NONE)
    BRIDGE_RETURNED = ("BridgeReturned", _D, "Lent CPU is taken back",
        "New pods are ready, the load fell, or the loan's time is over.", _NONE)
    OBEYED_CONSTRAINT = ("ObeyedConstraint", _D, "Moved back inside the constraints",
        "A constraint was changed and what ran was outside it.", _NONE)
    KNOB_TRIAL_STARTED = ("KnobTrialStarted", _D, "A knob is tried", "One pod runs with a new value.", _NONE)
    KNOB_TRIAL_KEPT = ("KnobTrialKept", _D, "A knob value is kept", "It was better; all pods get it.", _NONE)
    KNOB_TRIAL_ROLLED_BACK = ("KnobTrialRolledBack", _D, "A knob value is dropped",
        "It was not better, or could not be judged.", _NONE)
    KNOB_STEPPED = ("KnobStepped", _D, "A knob value goes to all pods",
        "Pods of this kind have no room for one on trial beside them; the step is watched and undone if it hurts.",
        _NONE)
    MOVE_KEPT = ("MoveKept", _E, "A move is kept", "It did what was expected.", _NONE)
    MOVE_ROLLED_BACK = ("MoveRolledBack", _E, "A move is taken back", "It hurt, or did not help.", _NONE)
    MOVE_CONFOUNDED = ("MoveConfounded", _E, "A move can't be judged",
        "Another change came before it was verified.", _NONE)
    MOVE_FAILED = ("MoveFailed", _E, "A move could not be made",
        "The API server or the node refused it.", "Read the message; it is tried again later.")
    NEW_PODS_SHAPED = ("NewPodsShaped", _E, "New pods start tuned",
        "The TuningProfile has new values.", _NONE)

    # Alerts and people
    NO_ALERTS = ("NoAlerts", _C, "No alert fires", "Every alert is inside its threshold.", _NONE)
    ALERT_FIRING = ("AlertFiring", _E, "An alert fires", "A metric was past its threshold for long enough.",
        "Look at status.alerts and status.decisions.")
    ALERT_RESOLVED = ("AlertResolved", _E, "An alert ended",
        "The metric was back inside for long enough.", _NONE)
    ALERT_UNKNOWN = ("AlertUnknown", _E, "An alert has no data",
        "Its metric has no number; it neither fires nor resolves.", "Look at MetricsAvailable.")
    HUMAN_SCALED = ("HumanScaled", _E, "A person set the replicas",
        "The replica count was changed by hand.", "Trimtab leaves it alone for humanHoldSeconds.")
    CONFIG_DELETED = ("ConfigDeleted", _E, "No longer tuned",
        "The PerformanceConfig was deleted; new pods follow the template.",
        "`trimtab export` before deleting prints the patch that keeps the values.")
    CHECKPOINT_REBUILT = ("CheckpointRebuilt", _E, "Learned anew",
        "The TuningCheckpoint of the resource was damaged, too large, or of a later version of Trimtab.",
        "Nothing to do: history is read back from Prometheus. After a downgrade, the later version would"
        " have kept what it learned.")
    REVERTED_ON_DELETE = ("RevertedOnDelete", _E, "Back to the template",
        "The PerformanceConfig was deleted and onDelete is Revert.", _NONE)
    # fmt: on


REASONS: dict[Reason, ReasonDoc] = {reason: reason.doc for reason in Reason}
"""What every reason means."""

_BY_VALUE: dict[str, Reason] = {reason.value: reason for reason in Reason}


def find_reason(value: str) -> Reason | None:
    """The reason of this CamelCase value; None for what is none of ours."""
    return _BY_VALUE.get(value)


CONFLICTS = frozenset(
    {
        Reason.OLDER_CONFIG_WINS,
        Reason.OWNING_CONTROLLER,
        Reason.REVERT_WAR,
        Reason.HPA_OWNS_REPLICAS,
        Reason.HPA_USES_CPU,
        Reason.HPA_USES_MEMORY,
        Reason.KEDA_OWNS_REPLICAS,
        Reason.VPA_OWNS_RESOURCES,
    }
)
"""What the condition Conflicted is about: another controller, or another resource, on the same lever."""
