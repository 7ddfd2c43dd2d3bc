"""The dashboard of Trimtab itself."""

from scripts.grafana import GREEN, RED, YELLOW, Dashboard, Panel, Row

OPERATOR = Dashboard(
    "trimtab-operator",
    "Trimtab / Operator",
    "Trimtab itself: is it ticking, how long does a tick take, what does it ask and write.",
    (
        Row(
            "Now",
            (
                Panel("Leaders", (("sum(trimtab_leader)", ""),), kind="stat", width=6, steps=((None, RED), (1, GREEN))),
                Panel(
                    "Since the last tick",
                    (("max(trimtab_tick_age_seconds)", ""),),
                    "s",
                    kind="stat",
                    width=6,
                    steps=((None, GREEN), (60, YELLOW), (120, RED)),
                ),
                Panel("Resources", (("max(trimtab_performanceconfigs)", ""),), kind="stat", width=6),
                Panel(
                    "Errors caught in an hour",
                    (("sum(increase(trimtab_errors_total[1h])) or 0 * max(trimtab_leader)", ""),),
                    kind="stat",
                    width=6,
                    steps=((None, GREEN), (1, YELLOW)),
                ),
            ),
        ),
        Row(
            "The tick",
            (
                Panel(
                    "Mean time by phase",
                    (
                        (
                            "sum by (phase) (rate(trimtab_tick_seconds_sum[5m])) / "
                            "sum by (phase) (rate(trimtab_tick_seconds_count[5m]))",
                            "{{phase}}",
                        ),
                    ),
                    "s",
                    stack=True,
                ),
                Panel(
                    "99th percentile by phase",
                    (
                        (
                            "histogram_quantile(0.99, sum by (le, phase) (rate(trimtab_tick_seconds_bucket[15m])))",
                            "{{phase}}",
                        ),
                    ),
                    "s",
                ),
            ),
        ),
        Row(
            "What it decided",
            (
                Panel(
                    "Decisions an hour, by lever",
                    (("sum by (lever) (increase(trimtab_decisions_total[1h]))", "{{lever}}"),),
                    width=8,
                    stack=True,
                ),
                Panel(
                    "How they ended, an hour",
                    (("sum by (outcome) (increase(trimtab_decision_outcomes_total[1h]))", "{{outcome}}"),),
                    width=8,
                    stack=True,
                ),
                Panel(
                    "Alerts of workloads",
                    (
                        ("sum by (severity) (trimtab_alert_state == bool 2)", "{{severity}} firing"),
                        ("sum(trimtab_alert_state == bool -1)", "no data"),
                    ),
                    width=8,
                ),
            ),
        ),
        Row(
            "What it asks and writes",
            (
                Panel(
                    "Queries a second, by datasource and answer",
                    (
                        (
                            "sum by (datasource, kind) (rate(trimtab_queries_total[5m]))",
                            "{{datasource}} {{kind}}",
                        ),
                    ),
                    "reqps",
                ),
                Panel(
                    "Writes to the API server a second",
                    (("sum by (kind) (rate(trimtab_api_writes_total[5m]))", "{{kind}}"),),
                    "wps",
                ),
                Panel(
                    "Set points that could not be carried out, an hour",
                    (
                        (
                            "sum by (lever, reason) (increase(trimtab_act_refused_total[1h])) "
                            'or label_replace(0 * max(trimtab_leader), "reason", "none", "", "")',
                            "{{lever}} {{reason}}",
                        ),
                    ),
                ),
                Panel(
                    "Errors caught, an hour",
                    (
                        (
                            "sum by (phase) (increase(trimtab_errors_total[1h])) "
                            'or label_replace(0 * max(trimtab_leader), "phase", "none", "", "")',
                            "{{phase}}",
                        ),
                    ),
                ),
            ),
        ),
        Row(
            "Its own pods",
            (
                Panel(
                    "CPU",
                    (
                        (
                            'sum by (pod) (rate(container_cpu_usage_seconds_total{container="operator",'
                            'pod=~".*trimtab.*"}[5m]))',
                            "{{pod}}",
                        ),
                    ),
                ),
                Panel(
                    "Memory",
                    (
                        (
                            'max by (pod) (container_memory_working_set_bytes{container="operator",'
                            'pod=~".*trimtab.*"})',
                            "{{pod}}",
                        ),
                    ),
                    "bytes",
                ),
            ),
        ),
    ),
)
