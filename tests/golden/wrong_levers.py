"""Wrong manifests: targets, levers, knobs, windows, ceilings and cost."""

from tests.golden.manifests import GONE
from tests.golden.wrong import BEHAVIOR, BOX, CONSTRAINTS, KNOB, MODEL, MONITORING, OPTIMIZATION, WINDOW, Wrong

WRONG_LEVERS = [
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
]
