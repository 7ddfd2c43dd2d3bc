"""The dashboard of the whole fleet."""

from scripts.grafana import GREEN, RED, Dashboard, Panel, Row

FLEET = Dashboard(
    "trimtab-fleet",
    "Trimtab / Fleet",
    "Is the fleet fine, what did Trimtab do, what does it save.",
    (
        Row(
            "Now",
            (
                Panel("Resources", (("max(trimtab_performanceconfigs)", ""),), kind="stat", width=4),
                Panel(
                    "Alerts firing",
                    (("sum(trimtab_alerts_firing)", ""),),
                    kind="stat",
                    width=4,
                    steps=((None, GREEN), (1, RED)),
                ),
                Panel(
                    "Objectives missed",
                    (("sum(trimtab_slo_error_budget_remaining < bool 0)", ""),),
                    kind="stat",
                    width=4,
                    steps=((None, GREEN), (1, RED)),
                ),
                Panel(
                    "Cost a month",
                    (("sum by (currency) (trimtab_cost_monthly)", "{{currency}}"),),
                    kind="stat",
                    width=4,
                ),
                Panel(
                    "Saved a month",
                    (('sum by (currency) (trimtab_savings_monthly{bound="value"})', "{{currency}}"),),
                    kind="stat",
                    width=4,
                    about="Priced capacity that the same work no longer takes; 0 while the interval spans zero, no "
                    "data before a day of baseline and a day since.",
                ),
                Panel(
                    "Nodes a month",
                    (("max by (currency) (trimtab_nodes_cost_monthly)", "{{currency}}"),),
                    kind="stat",
                    width=4,
                    about="The bill. It falls only once nodes go: freed capacity is not a smaller bill by itself.",
                ),
            ),
        ),
        Row(
            "What it did",
            (
                Panel(
                    "Decisions an hour, by reason",
                    (("sum by (reason) (increase(trimtab_decisions_total[1h]))", "{{reason}}"),),
                    stack=True,
                ),
                Panel(
                    "How moves ended, an hour",
                    (("sum by (outcome) (increase(trimtab_decision_outcomes_total[1h]))", "{{outcome}}"),),
                    stack=True,
                ),
            ),
        ),
        Row(
            "Service levels and alerts",
            (
                Panel(
                    "Least error budget left",
                    (
                        (
                            "bottomk(10, min by (config_namespace, config_name, objective) "
                            "(trimtab_slo_error_budget_remaining))",
                            "{{config_namespace}}/{{config_name}} {{objective}}",
                        ),
                    ),
                    "percentunit",
                ),
                Panel(
                    "Fastest burn over an hour",
                    (
                        (
                            "topk(10, max by (config_namespace, config_name, objective) "
                            '(trimtab_slo_burn_rate{window="1h"}))',
                            "{{config_namespace}}/{{config_name}} {{objective}}",
                        ),
                    ),
                ),
                Panel(
                    "Alerts that are pending (1) or firing (2)",
                    (
                        (
                            "max by (config_namespace, config_name, alert, severity) (trimtab_alert_state) > 0 "
                            'or label_replace(0 * max(trimtab_leader), "alert", "none", "", "")',
                            "",
                        ),
                    ),
                    kind="table",
                    width=24,
                    rename={"config_namespace": "Namespace", "config_name": "Resource", "Value": "State"},
                ),
            ),
        ),
        Row(
            "Money",
            (
                Panel(
                    "Cost a month, by component",
                    (("sum by (component, currency) (trimtab_cost_monthly)", "{{component}} {{currency}}"),),
                    stack=True,
                ),
                Panel(
                    "Dearest workloads, a month",
                    (
                        (
                            "topk(10, sum by (config_namespace, config_name, currency) (trimtab_cost_monthly))",
                            "{{config_namespace}}/{{config_name}}",
                        ),
                    ),
                ),
                Panel(
                    "Capacity freed: cores",
                    (("sum(trimtab_freed_cpu_cores)", "cores"),),
                ),
                Panel(
                    "Capacity freed: memory",
                    (("sum(trimtab_freed_memory_bytes)", "bytes"),),
                    "bytes",
                ),
            ),
        ),
    ),
)
