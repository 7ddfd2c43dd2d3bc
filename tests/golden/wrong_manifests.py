"""Wrong manifests: one change each to performanceconfig.yaml, and what a person must be told about it."""

from dataclasses import dataclass
from typing import Any

from tests.golden.manifests import GONE

MONITORING, OPTIMIZATION = "spec.monitoring", "spec.optimization"
CONSTRAINTS, BEHAVIOR = f"{OPTIMIZATION}.constraints", f"{OPTIMIZATION}.behavior"
METRIC, ALERT, BOX, KNOB = (
    f"{MONITORING}.metrics[0]",
    f"{MONITORING}.alerts[0]",
    f"{CONSTRAINTS}.containers[0]",
    f"{CONSTRAINTS}.knobs[0]",
)
MODEL = "spec.cost.api.models[0]"
GOAL = f"{MONITORING}.objectives[0]"
WINDOW = f"{CONSTRAINTS}.disruption.windows[0]"


@dataclass(frozen=True)
class Wrong:
    """One wrong manifest."""

    name: str
    changes: dict[str, Any]
    """Path to new value."""
    field: str
    """Field that the message names."""
    words: tuple[str, ...]
    """What the API server's message says beside it: what is wrong, or the remedy."""
    offline_field: str = ""
    """Field that `trimtab check` names, where it is another one."""


WRONG = [
    # The workload
    Wrong("no spec", {"spec": GONE}, "spec", ("Required value",)),
    Wrong("no target", {"spec.targetRef": GONE}, "spec.targetRef", ("Required value",)),
    Wrong("target without a name", {"spec.targetRef.name": GONE}, "spec.targetRef.name", ("Required value",)),
    Wrong("target with an empty name", {"spec.targetRef.name": ""}, "spec.targetRef.name", ("at least 1",)),
    Wrong("target with a path for a name", {"spec.targetRef.name": "../x"}, "spec.targetRef.name", ("match",)),
    Wrong("a kind in small letters", {"spec.targetRef.kind": "deployment"}, "spec.targetRef.kind", ("match",)),
    Wrong(
        "a pod as target",
        {"spec.targetRef.kind": "Pod", "spec.targetRef.apiVersion": "v1"},
        "spec.targetRef.kind",
        ("must have replicas", "Deployment"),
    ),
    Wrong(
        "a job as target",
        {"spec.targetRef.kind": "Job", "spec.targetRef.apiVersion": "batch/v1"},
        "spec.targetRef.kind",
        ("must have replicas", "Deployment"),
    ),
    Wrong("no API version", {"spec.targetRef.apiVersion": "apps"}, "spec.targetRef.apiVersion", ("match",)),
    # Monitoring
    Wrong("a switch in words", {f"{MONITORING}.enabled": "yes"}, f"{MONITORING}.enabled", ("boolean",)),
    Wrong("no samples", {f"{MONITORING}.sampleRate": 0}, f"{MONITORING}.sampleRate", ("greater than", "1")),
    Wrong("too many samples", {f"{MONITORING}.sampleRate": 13}, f"{MONITORING}.sampleRate", ("less than", "12")),
    Wrong("a rate as text", {f"{MONITORING}.sampleRate": "4"}, f"{MONITORING}.sampleRate", ("integer",)),
    Wrong("a broken rate", {f"{MONITORING}.sampleRate": 0.5}, f"{MONITORING}.sampleRate", ("int64",)),
    Wrong(
        "a rate beyond all numbers",
        {f"{MONITORING}.sampleRate": 10**9},
        f"{MONITORING}.sampleRate",
        ("less than", "12"),
    ),
    Wrong("a number without end", {f"{MONITORING}.sampleRate": 10**30}, f"{MONITORING}.sampleRate", ("12",)),
    Wrong("two years back", {f"{MONITORING}.retentionDays": 730}, f"{MONITORING}.retentionDays", ("365",)),
    Wrong("a URL as datasource", {f"{MONITORING}.datasource": "http://x"}, f"{MONITORING}.datasource", ("match",)),
    Wrong("a metric without a name", {f"{METRIC}.name": GONE}, f"{METRIC}.name", ("Required value",)),
    Wrong("a metric with a bad name", {f"{METRIC}.name": "a b"}, f"{METRIC}.name", ("match",)),
    Wrong("neither query nor preset", {f"{METRIC}.query": GONE}, METRIC, ("query or preset", "exactly one")),
    Wrong("query and preset", {f"{METRIC}.preset": "x"}, METRIC, ("query or preset", "exactly one")),
    Wrong("an empty query", {f"{METRIC}.query": ""}, f"{METRIC}.query", ("at least 1",)),
    Wrong("a novel as query", {f"{METRIC}.query": "x" * 5000}, f"{METRIC}.query", ("4096",)),
    Wrong(
        "a preset for the namespace",
        {f"{MONITORING}.metrics[1].scope": "Namespace"},
        f"{MONITORING}.metrics[1].scope",
        ("preset", "leave scope out"),
    ),
    Wrong("an unknown direction", {f"{METRIC}.better": "Smaller"}, f"{METRIC}.better", ("Lower", "Higher")),
    Wrong(
        "a metric named like a built-in",
        {f"{MONITORING}.metrics[2]": {"name": "cpuUsage", "query": "x"}},
        f"{MONITORING}.metrics[2].name",
        ("cpuUsage", "choose another name"),
    ),
    Wrong(
        "two metrics of one name",
        {f"{MONITORING}.metrics[2]": {"name": "totalLatency", "query": "x"}},
        f"{MONITORING}.metrics[2]",
        ("Duplicate value", "totalLatency"),
        f"{MONITORING}.metrics",
    ),
    Wrong(
        "a metric too many",
        {f"{MONITORING}.metrics[{i}]": {"name": f"m{i}", "query": "x"} for i in range(2, 33)},
        f"{MONITORING}.metrics",
        ("at most 32",),
    ),
    Wrong(
        "a threshold on nothing",
        {f"{MONITORING}.alertThresholds": {"latency": "1"}},
        f"{MONITORING}.alertThresholds",
        ("not declared", "spec.monitoring.metrics", "cpuUsage"),
    ),
    Wrong(
        "a threshold as a float",
        {f"{MONITORING}.alertThresholds.totalLatency": 0.5},
        f"{MONITORING}.alertThresholds.totalLatency",
        ("integer",),
    ),
    Wrong(
        "a threshold in words",
        {f"{MONITORING}.alertThresholds.totalLatency": "half a second"},
        f"{MONITORING}.alertThresholds.totalLatency",
        ("match",),
    ),
    Wrong("above and below", {f"{ALERT}.below": "0.1"}, ALERT, ("above or below", "exactly one")),
    Wrong("neither above nor below", {f"{ALERT}.above": GONE}, ALERT, ("above or below", "exactly one")),
    Wrong("not a number", {f"{ALERT}.above": "NaN"}, f"{ALERT}.above", ("match",)),
    Wrong(
        "an alert on nothing",
        {f"{ALERT}.metric": "latency"},
        f"{MONITORING}.alerts",
        ("not declared", "spec.monitoring.metrics"),
    ),
    Wrong("a negative duration", {f"{ALERT}.forSeconds": -1}, f"{ALERT}.forSeconds", ("greater than", "0")),
    Wrong("an unknown severity", {f"{ALERT}.severity": "Panic"}, f"{ALERT}.severity", ("Info", "Critical")),
    Wrong("an alert named as a built-in one", {f"{ALERT}.name": "OOMKilled"}, f"{ALERT}.name", ("built-in",)),
    Wrong("a metric named as a built-in alert", {f"{METRIC}.name": "Conflict"}, f"{METRIC}.name", ("built-in",)),
    Wrong(
        "two alerts of one name",
        {f"{MONITORING}.alerts[1].name": "slow"},
        f"{MONITORING}.alerts[1]",
        ("Duplicate value", "slow"),
        f"{MONITORING}.alerts",
    ),
    Wrong(
        "an alert named like a threshold",
        {f"{ALERT}.name": "totalLatency"},
        f"{MONITORING}.alerts",
        ("alertThresholds", "rename the alert"),
    ),
    # Objectives
    Wrong("an objective without a target", {f"{GOAL}.target": GONE}, f"{GOAL}.target", ("Required value",)),
    Wrong("an objective of everything", {f"{GOAL}.target": "1"}, f"{GOAL}.target", ("above 0 and below 1",)),
    Wrong("an objective in percent", {f"{GOAL}.target": 99}, f"{GOAL}.target", ("above 0 and below 1", "0.99")),
    Wrong("an objective of two forms", {f"{GOAL}.good": "up", f"{GOAL}.total": "up"}, GOAL, ("exactly one",)),
    Wrong("an objective of no form", {f"{GOAL}.metric": GONE, f"{GOAL}.atMost": GONE}, GOAL, ("exactly one",)),
    Wrong("good without total", {f"{MONITORING}.objectives[1].total": GONE}, f"{MONITORING}.objectives[1]", ("total",)),
    Wrong("a metric without a bound", {f"{GOAL}.atMost": GONE}, GOAL, ("exactly one bound", "atMost or atLeast")),
    Wrong("a metric with two bounds", {f"{GOAL}.atLeast": "0.1"}, GOAL, ("exactly one bound", "atMost or atLeast")),
    Wrong(
        "an objective on nothing",
        {f"{GOAL}.metric": "latency"},
        f"{MONITORING}.objectives",
        ("not declared", "cpuUsage"),
    ),
    Wrong("a window of a year", {f"{GOAL}.windowDays": 365}, f"{GOAL}.windowDays", ("less than", "90")),
    # Targets and levers
    Wrong(
        "a target on nothing",
        {f"{OPTIMIZATION}.targetMetrics": {"latency": "1"}},
        f"{OPTIMIZATION}.targetMetrics",
        ("not declared", "spec.monitoring.metrics"),
    ),
    Wrong(
        "a target on a built-in",
        {f"{OPTIMIZATION}.targetMetrics.cpuUsage": "1"},
        f"{OPTIMIZATION}.targetMetrics",
        ("not declared", "spec.monitoring.metrics"),
    ),
    Wrong(
        "an overrun rate in percent",
        {f"{OPTIMIZATION}.behavior": {"cpuOverrunRate": "1"}},
        f"{OPTIMIZATION}.behavior.cpuOverrunRate",
        ("0.001 to 0.2", '"0.01"'),
    ),
    Wrong(
        "a target of zero",
        {f"{OPTIMIZATION}.targetMetrics.totalLatency": "0"},
        f"{OPTIMIZATION}.targetMetrics",
        ("above 0", "300m"),
    ),
    Wrong(
        "a negative target",
        {f"{OPTIMIZATION}.targetMetrics.totalLatency": -1},
        f"{OPTIMIZATION}.targetMetrics",
        ("above 0", "300m"),
    ),
    Wrong(
        "nothing to tune",
        {CONSTRAINTS: {}},
        f"{OPTIMIZATION}.autoTune",
        ("nothing to be moved", "set autoTune to false"),
    ),
    Wrong(
        "knobs without a target",
        {f"{OPTIMIZATION}.targetMetrics": GONE},
        f"{OPTIMIZATION}.targetMetrics",
        ("knobs are judged by a target", "remove the knobs"),
    ),
    Wrong(
        "replicas min above max",
        {f"{CONSTRAINTS}.replicas.min": 21},
        f"{CONSTRAINTS}.replicas.min",
        ("above replicas.max", "lower min or raise max"),
    ),
    Wrong("no replicas max", {f"{CONSTRAINTS}.replicas.max": GONE}, f"{CONSTRAINTS}.replicas.max", ("Required",)),
    Wrong(
        "scale to zero",
        {f"{CONSTRAINTS}.replicas.min": 0},
        f"{CONSTRAINTS}.replicas.min",
        ("greater than or equal to 1",),
    ),
    Wrong(
        "a billion replicas",
        {f"{CONSTRAINTS}.replicas.max": 10**9},
        f"{CONSTRAINTS}.replicas.max",
        ("less than or equal to 10000",),
    ),
    Wrong(
        "a container without bounds",
        {f"{BOX}.cpu": GONE, f"{BOX}.memory": GONE},
        BOX,
        ("cpu or memory", "remove the container"),
    ),
    Wrong("cpu min above max", {f"{BOX}.cpu.min": "2500m"}, f"{BOX}.cpu.min", ("lower min or raise max",)),
    Wrong("cpu min above max, as a number", {f"{BOX}.cpu.min": 3}, f"{BOX}.cpu.min", ("lower min or raise max",)),
    Wrong("memory min above max", {f"{BOX}.memory.min": "3Gi"}, f"{BOX}.memory.min", ("lower min or raise max",)),
    Wrong("no cpu max", {f"{BOX}.cpu.max": GONE}, f"{BOX}.cpu.max", ("Required value",)),
    Wrong("no cpu at all", {f"{BOX}.cpu.min": 0}, f"{BOX}.cpu", ("from 1m", "500m")),
    Wrong("negative cpu", {f"{BOX}.cpu.min": "-1"}, f"{BOX}.cpu", ("from 1m", "500m")),
    Wrong("cpu in bytes", {f"{BOX}.cpu.max": "1Gi"}, f"{BOX}.cpu", ("cores", "10k")),
    Wrong(
        "memory without a unit",
        {f"{BOX}.memory": {"min": 128, "max": 512}},
        f"{BOX}.memory",
        ("bytes", "write 512Mi"),
    ),
    Wrong("memory in no unit", {f"{BOX}.memory.max": "2GB"}, f"{BOX}.memory.max", ("match",)),
    Wrong("unknown limits", {f"{BOX}.limits": "Drop"}, f"{BOX}.limits", ("Keep", "Scale")),
    Wrong(
        "a container twice",
        {f"{CONSTRAINTS}.containers[1]": {"name": "app", "cpu": {"max": 1}}},
        f"{CONSTRAINTS}.containers[1]",
        ("Duplicate value", "app"),
        f"{CONSTRAINTS}.containers",
    ),
    # Knobs
    Wrong("knob min above max", {f"{KNOB}.min": 65}, f"{KNOB}.min", ("lower min or raise max",)),
    Wrong("knob default below min", {f"{KNOB}.default": 0}, f"{KNOB}.default", ("outside min and max",)),
    Wrong("knob default above max", {f"{KNOB}.default": 65}, f"{KNOB}.default", ("outside min and max",)),
    Wrong("a negative knob", {f"{KNOB}.min": -1}, f"{KNOB}.min", ("greater than or equal to 0",)),
    Wrong("a knob as text", {f"{KNOB}.max": "64"}, f"{KNOB}.max", ("integer",)),
    Wrong("a knob beyond int32", {f"{KNOB}.max": 2**31}, f"{KNOB}.max", ("2147483647",)),
    Wrong("an unknown role", {f"{KNOB}.role": "Threads"}, f"{KNOB}.role", ("Batch", "Pool")),
    Wrong("no role", {f"{KNOB}.role": GONE}, f"{KNOB}.role", ("Required value",)),
    *(
        Wrong(f"{name} as a knob", {f"{KNOB}.env": name}, f"{KNOB}.env", ("can't be a knob", "own"))
        for name in ("LD_PRELOAD", "PATH", "JAVA_TOOL_OPTIONS", "PYTHONPATH", "NODE_OPTIONS", "BASH_ENV")
    ),
    Wrong("an env with a blank", {f"{KNOB}.env": "A B"}, f"{KNOB}.env", ("match",)),
    Wrong(
        "two knobs on one variable",
        {f"{CONSTRAINTS}.knobs[1].env": "BATCH_SIZE"},
        f"{CONSTRAINTS}.knobs",
        ("same env of the same container", "remove one"),
    ),
    Wrong(
        "two knobs of one name",
        {f"{CONSTRAINTS}.knobs[1].name": "batch"},
        f"{CONSTRAINTS}.knobs[1]",
        ("Duplicate value", "batch"),
        f"{CONSTRAINTS}.knobs",
    ),
    Wrong(
        "a batch above its ceiling",
        {f"{KNOB}.min": 8, "spec.resources.maxBatchSize": 4},
        "spec.resources.maxBatchSize",
        ("Batch knob", "raise maxBatchSize"),
    ),
    Wrong(
        "a default above its ceiling",
        {"spec.resources.maxBatchSize": 4},
        "spec.resources.maxBatchSize",
        ("Batch knob", "raise maxBatchSize"),
    ),
    Wrong(
        "a concurrency above its ceiling",
        {f"{CONSTRAINTS}.knobs[1].min": 8, "spec.resources.maxConcurrency": 4},
        "spec.resources.maxConcurrency",
        ("Concurrency or Pool knob", "raise maxConcurrency"),
    ),
    Wrong(
        "a pool above its ceiling",
        {
            f"{CONSTRAINTS}.knobs[1].min": 8,
            f"{CONSTRAINTS}.knobs[1].role": "Pool",
            "spec.resources.maxConcurrency": 4,
        },
        "spec.resources.maxConcurrency",
        ("Concurrency or Pool knob", "raise maxConcurrency"),
    ),
    # Time
    Wrong("an unknown effect", {f"{WINDOW}.effect": "Maybe"}, f"{WINDOW}.effect", ("Allow", "Deny")),
    Wrong("no cron", {f"{WINDOW}.cron": GONE}, f"{WINDOW}.cron", ("Required value",)),
    Wrong("six cron fields", {f"{WINDOW}.cron": "0 0 9 * * 1-5"}, f"{WINDOW}.cron", ("five fields", "correct it")),
    Wrong("a cron in words", {f"{WINDOW}.cron": "every monday"}, f"{WINDOW}.cron", ("five fields", "correct it")),
    Wrong("an endless window", {f"{WINDOW}.durationSeconds": 10**9}, f"{WINDOW}.durationSeconds", ("604800",)),
    Wrong("no policies", {f"{BEHAVIOR}.scaleUp.policies": []}, f"{BEHAVIOR}.scaleUp.policies", ("at least 1",)),
    Wrong(
        "a policy of nothing",
        {f"{BEHAVIOR}.scaleUp.policies[0].value": 0},
        f"{BEHAVIOR}.scaleUp.policies[0].value",
        ("greater than or equal to 1",),
    ),
    Wrong("verified at once", {f"{BEHAVIOR}.verifySeconds": 0}, f"{BEHAVIOR}.verifySeconds", ("equal to 10",)),
    Wrong(
        "more history than is kept",
        {f"{BEHAVIOR}.minHistorySeconds": 172800, f"{MONITORING}.retentionDays": 1},
        f"{BEHAVIOR}.minHistorySeconds",
        ("retentionDays", "lower"),
    ),
    # Ceilings
    Wrong("no memory", {"spec.resources.maxMemory": 0}, "spec.resources.maxMemory", ("at least 1Mi", "16Gi")),
    Wrong("16 bytes", {"spec.resources.maxMemory": 16}, "spec.resources.maxMemory", ("at least 1Mi", "16Gi")),
    Wrong("no batch", {"spec.resources.maxBatchSize": 0}, "spec.resources.maxBatchSize", ("equal to 1",)),
    Wrong("an unknown ending", {"spec.onDelete": "Destroy"}, "spec.onDelete", ("Keep", "Revert")),
    # Cost
    Wrong("a currency in small letters", {"spec.cost.currency": "usd"}, "spec.cost.currency", ("match",)),
    Wrong("no budget at all", {"spec.cost.monthlyBudget": "0"}, "spec.cost.monthlyBudget", ("above 0",)),
    Wrong("an unknown price list", {"spec.cost.prices": "Guess"}, "spec.cost.prices", ("Prometheus", "Static")),
    Wrong("a model that pays", {f"{MODEL}.inputPerMillion": "-1"}, MODEL, ("below 0",)),
    Wrong("a model with a quote", {f"{MODEL}.name": 'x"}'}, f"{MODEL}.name", ("match",)),
    Wrong("an unknown preference", {f"{OPTIMIZATION}.prefer": "Speed"}, f"{OPTIMIZATION}.prefer", ("Cost", "Latency")),
    # Hostile
    Wrong("a list for an object", {"spec.monitoring": []}, "spec.monitoring", ("object",)),
    Wrong("text for a list", {f"{MONITORING}.metrics": "all"}, f"{MONITORING}.metrics", ("array",)),
    Wrong("nulls in a list", {f"{MONITORING}.metrics": [None]}, f"{MONITORING}.metrics[0]", ("object",)),
    Wrong("a megabyte of name", {f"{METRIC}.name": "x" * 1_000_000}, f"{METRIC}.name", ("63",)),
    Wrong("a megabyte of number", {f"{ALERT}.above": "9" * 1_000_000}, f"{ALERT}.above", ("32",)),
    Wrong("letters that look alike", {f"{METRIC}.name": "tоtalLatency"}, f"{METRIC}.name", ("match",)),
    Wrong("digits of another script", {f"{ALERT}.above": "٣"}, f"{ALERT}.above", ("match",)),
]
"""Each must be refused by the API server and found by `trimtab check`."""

UNKNOWN_FIELDS: list[tuple[str, dict[str, Any], str]] = [
    ("a typing error", {f"{MONITORING}.sampelRate": 4}, f"{MONITORING}.sampelRate"),
    ("a field of no version", {"spec.budget": {"currency": "USD"}}, "spec.budget"),
    ("a field in a list", {f"{KNOB}.step": 2}, f"{KNOB}.step"),
    ("a field in the target", {"spec.targetRef.namespace": "other"}, "spec.targetRef.namespace"),
    ("a deep tree", {"spec.x": {"a": {"b": {"c": [[[[{"d": 1}]]]]}}}}, "spec.x"),
]
"""Fields that are nowhere: name, changes, field named. `kubectl apply` refuses them (strict validation)."""

LATER: list[tuple[str, dict[str, Any], str, str]] = [
    ("an impossible cron", {f"{WINDOW}.cron": "0 25 * * *"}, f"{WINDOW}.cron", "five fields"),
    ("a day that never comes", {f"{WINDOW}.cron": "0 0 31 2 *"}, f"{WINDOW}.cron", "five fields"),
    ("days that never meet", {f"{WINDOW}.cron": "0 0 */30 2 MON#5"}, f"{WINDOW}.cron", "never comes true"),
    ("an unknown time zone", {f"{WINDOW}.timeZone": "Mars/Olympus"}, f"{WINDOW}.timeZone", "IANA"),
    ("a path for a time zone", {f"{WINDOW}.timeZone": "../../etc/passwd"}, f"{WINDOW}.timeZone", "IANA"),
    ("a folder of time zones", {f"{WINDOW}.timeZone": "Europe"}, f"{WINDOW}.timeZone", "IANA"),
    ("too little memory for all", {"spec.resources.maxMemory": "128Mi"}, "spec.resources.maxMemory", "raise"),
]
"""The API server can't see these: accepted there, found by `trimtab check` and told by a condition."""
