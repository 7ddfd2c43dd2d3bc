"""The dashboard of one workload."""

from scripts.grafana import GREEN, RED, YELLOW, Dashboard, Panel, Row

_WHO = 'config_namespace=~"$namespace",config_name=~"$name"'

WORKLOAD = Dashboard(
    "trimtab-workload",
    "Trimtab / Workload",
    "One workload: its targets, what it uses and has, its service levels, alerts and costs.",
    (
        Row(
            "Now",
            (
                Panel("Ready pods", ((f"sum(trimtab_ready_replicas{{{_WHO}}})", ""),), kind="stat", width=4),
                Panel(
                    "Alerts firing",
                    ((f"sum(trimtab_alerts_firing{{{_WHO}}})", ""),),
                    kind="stat",
                    width=4,
                    steps=((None, GREEN), (1, RED)),
                ),
                Panel(
                    "Error budget left",
                    ((f"min(trimtab_slo_error_budget_remaining{{{_WHO}}})", ""),),
                    "percentunit",
                    kind="stat",
                    width=4,
                    steps=((None, RED), (0, YELLOW), (0.25, GREEN)),
                ),
                Panel("Cost a month", ((f"sum(trimtab_cost_monthly{{{_WHO}}})", ""),), kind="stat", width=4),
                Panel(
                    "Saved a month",
                    ((f'sum(trimtab_savings_monthly{{{_WHO},bound="value"}})', ""),),
                    kind="stat",
                    width=4,
                    about="0 while the interval spans 0; no data before a day of baseline and a day since.",
                ),
                Panel(
                    "Budget used",
                    ((f"max(trimtab_cost_budget_used{{{_WHO}}})", ""),),
                    "percentunit",
                    kind="stat",
                    width=4,
                    steps=((None, GREEN), (0.9, YELLOW), (1, RED)),
                ),
            ),
        ),
        Row(
            "Targets",
            (
                Panel(
                    "Metrics that have a target",
                    (
                        (
                            f"trimtab_metric{{{_WHO}}} and on (config_namespace, config_name, metric) trimtab_target",
                            "{{metric}}",
                        ),
                        (f"trimtab_target{{{_WHO}}}", "target of {{metric}}"),
                    ),
                ),
                Panel(
                    "Replicas",
                    (
                        (f"sum(trimtab_ready_replicas{{{_WHO}}})", "ready"),
                        (f"sum(trimtab_recommended_replicas{{{_WHO}}})", "recommended"),
                    ),
                ),
            ),
        ),
        Row(
            "Resources",
            (
                Panel(
                    "CPU: use of all pods",
                    ((f'trimtab_metric{{{_WHO},metric="cpuUsage"}}', "used"),),
                ),
                Panel(
                    "CPU: request of each container",
                    ((f'trimtab_container_request{{{_WHO},resource="cpu"}}', "{{container}} {{state}}"),),
                ),
                Panel(
                    "Memory: use of all pods",
                    ((f'trimtab_metric{{{_WHO},metric="memoryUsage"}}', "used"),),
                    "bytes",
                ),
                Panel(
                    "Memory: request of each container",
                    ((f'trimtab_container_request{{{_WHO},resource="memory"}}', "{{container}} {{state}}"),),
                    "bytes",
                ),
                Panel(
                    "Disk and network",
                    ((f'trimtab_metric{{{_WHO},metric=~"diskUsage|networkUsage"}}', "{{metric}}"),),
                    "Bps",
                ),
                Panel("Knobs", ((f"trimtab_knob_value{{{_WHO}}}", "{{knob}} {{state}}"),)),
            ),
        ),
        Row(
            "Service levels and alerts",
            (
                Panel(
                    "Attainment",
                    ((f"trimtab_slo_attainment{{{_WHO}}}", "{{objective}}"),),
                    "percentunit",
                ),
                Panel("Burn rate", ((f"trimtab_slo_burn_rate{{{_WHO}}}", "{{objective}} {{window}}"),)),
                Panel(
                    "Alerts: 0 quiet, 1 pending, 2 firing, -1 no data",
                    ((f"max by (alert, severity) (trimtab_alert_state{{{_WHO}}})", "{{alert}} ({{severity}})"),),
                    width=24,
                ),
            ),
        ),
        Row(
            "Costs",
            (
                Panel(
                    "Cost a month, by component",
                    ((f"sum by (component, currency) (trimtab_cost_monthly{{{_WHO}}})", "{{component}} {{currency}}"),),
                    stack=True,
                ),
                Panel(
                    "Cost of 1,000 requests",
                    ((f'trimtab_metric{{{_WHO},metric="costPerThousandRequests"}}', "now"),),
                ),
            ),
        ),
    ),
    (
        ("namespace", "Namespace", "label_values(trimtab_ready_replicas, config_namespace)", False),
        ("name", "Resource", 'label_values(trimtab_ready_replicas{config_namespace="$namespace"}, config_name)', False),
    ),
)
