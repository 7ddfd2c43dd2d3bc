"""Writes what the documentation takes from the code: docs/reference.md, and the table of values in docs/chart.md.

python -m scripts.docs [--check]
"""

import argparse
import ast
import inspect
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from trimtab.api import answers, conditions
from trimtab.api.builtin_alerts import BUILTIN_ALERTS, BuiltinAlert
from trimtab.api.crd import performance_config_crd, tuning_checkpoint_crd, tuning_journal_crd, tuning_profile_crd
from trimtab.api.reasons import REASONS, ReasonKind
from trimtab.decide.slo import BURN_RULES, BurnRule
from trimtab.observe.presets import load_presets
from trimtab.record.metrics import OperatorMetrics

ROOT = Path(__file__).parent.parent
VALUES = ROOT / "charts" / "trimtab" / "values.yaml"
REFERENCE = ROOT / "docs" / "reference.md"
CHART = ROOT / "docs" / "chart.md"
RULES = ROOT / "charts" / "trimtab" / "files" / "rules.yaml"
ALERT_HEAD = ("alert", "severity", "fires when", "why", "what to do")
WINDOW_NAMES = ("5 min", "30 min", "1 h", "2 h", "6 h", "1 d", "3 d")
"""Of decide.slo.WINDOWS, in their order."""
BEGIN, END = "<!-- values: begin -->", "<!-- values: end -->"
_KINDS = {
    ReasonKind.CONDITION: "Conditions",
    ReasonKind.LIMITED: "Limited: a lever that may not be moved",
    ReasonKind.METRIC: "MetricsAvailable: a metric without a number",
    ReasonKind.DECISION: "Decisions",
    ReasonKind.EVENT: "Events",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files, or with --check say which differ from the code and return 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail when a file differs from the code")
    check = parser.parse_args(arguments).check
    stale = [path for path, text in files().items() if not path.exists() or path.read_text("utf-8") != text]
    if check and stale:
        names = ", ".join(str(path.relative_to(ROOT)) for path in stale)
        print(f"{names} differ from the code; run `python -m scripts.docs`", file=sys.stderr)
        return 1
    for path in stale:
        path.write_text(files()[path], "utf-8")
    return 0


def files() -> dict[Path, str]:
    """Text of every generated file."""
    return {REFERENCE: reference(), CHART: with_values(CHART.read_text("utf-8"))}


def reference() -> str:
    """docs/reference.md."""
    parts = [
        "# Reference",
        "Made from the code by `python -m scripts.docs`; a test fails when it differs.",
        "## Conditions",
        "Each resource has all of them, Unknown at first. Ready, Reconciling and Stalled are read by kstatus (Flux).",
        table(("type", "meaning"), _members(conditions, conditions.ConditionType)),
        "## Reasons",
        "What `kubectl describe` shows beside a condition, a decision or an event.",
    ]
    for kind, title in _KINDS.items():
        rows = [
            (f"`{reason}`", doc.title, doc.cause, doc.remedy) for reason, doc in REASONS.items() if doc.kind is kind
        ]
        parts += [f"### {title}", table(("reason", "in short", "why", "what to do"), rows)]
    parts += [
        "## Answers of a metric source",
        "Only a Value is a number. Everything else holds capacity, and is never taken for zero.",
        table(("answer", "meaning"), _members(answers, answers.AnswerKind, answers.REASONS)),
        "## Built-in alerts",
        "Every resource has them. They appear in `status.alerts`, as events and as `trimtab_alert_state` once they are "
        "pending or firing.",
        table(ALERT_HEAD, [_alert(alert) for alert in BUILTIN_ALERTS]),
        "## Burn-rate alerts",
        "Each objective has them, as `OBJECTIVE/NAME`. Both windows must be past; how burn rates are counted is in "
        "[sla.md](sla.md).",
        table(ALERT_HEAD, [_burn(rule) for rule in BURN_RULES]),
        "## Alerts of the chart",
        "Those of `prometheusRule.enabled=true`, for Alertmanager. The last three pass on the alerts of resources.",
        table(ALERT_HEAD, _chart_alerts()),
        "## PerformanceConfig",
        "`kubectl explain performanceconfig.spec --recursive` shows the same. Quantities are Kubernetes quantities "
        "(`300m`, `0.3`, `8Gi`).",
        *_fields(performance_config_crd(), ("spec", "status")),
        "## TuningProfile",
        "One object a namespace, written by Trimtab, read by the admission policy. Nobody else needs to write it.",
        *_fields(tuning_profile_crd(), ("spec",)),
        "## TuningCheckpoint and TuningJournal",
        "One of each a PerformanceConfig, with its name and removed with it, written by Trimtab.",
        *_fields(tuning_checkpoint_crd(), ("spec",)),
        *_fields(tuning_journal_crd(), ("spec",)),
        "## Presets",
        "Ready-made queries for `spec.monitoring.metrics[].preset`. An administrator adds or overrides them with "
        "`presets` in the chart's values; `trimtab presets NAME` shows the PromQL.",
        table(
            ("preset", "measures", "unit", "better", "shown as"),
            [
                (f"`{p.name}`", f"[{p.title}]({p.source})", p.unit, str(p.better), f"`{p.group}`" if p.group else "")
                for p in sorted(load_presets().values(), key=lambda p: p.name)
            ],
        ),
        "## Metrics of the operator",
        "Served at `/metrics` on port 8080 by the leader and by those that stand by.",
        table(("metric", "kind", "meaning"), _operator_metrics()),
    ]
    return "\n\n".join(parts) + "\n"


def _alert(alert: BuiltinAlert) -> tuple[str, ...]:
    lasting = f" for {alert.for_seconds} s" if alert.for_seconds else ""
    fires = f"{alert.metric} is above {alert.threshold:g}{lasting}"
    return f"`{alert.name}`", alert.severity.value, fires, alert.cause, alert.remedy


def _burn(rule: BurnRule) -> tuple[str, ...]:
    short, long = (WINDOW_NAMES[place] for place in (rule.short, rule.long))
    fires = f"the burn rate over {short} and over {long} is above {rule.factor:g}"
    return f"`{rule.name}`", rule.severity.value, fires, rule.cause, rule.remedy


def _chart_alerts() -> Iterator[tuple[str, ...]]:
    """Rows of the PrometheusRule. Raises KeyError where one lacks its cause or remedy."""
    for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"]:
        for rule in group["rules"]:
            if "alert" in rule:
                told = rule["annotations"]
                lasting = f" for {rule['for']}" if "for" in rule else ""
                fires = f"`{' '.join(rule['expr'].split())}`{lasting}"
                yield f"`{rule['alert']}`", rule["labels"]["severity"], fires, told["description"], told["runbook"]


def with_values(text: str) -> str:
    """docs/chart.md with the table of values between its marks. Raises ValueError when a mark is missing."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{CHART} lacks {BEGIN} or {END}; put both back")
    rows = [(f"`{name}`", f"`{json.dumps(default)}`", meaning) for name, default, meaning in values()]
    return f"{before}{BEGIN}\n{table(('value', 'default', 'meaning'), rows)}\n{END}{after}"


def values() -> Iterator[tuple[str, Any, str]]:
    """Every value of the chart: its path, its default, and the comment `# --` above it.

    Raises:
        ValueError: a value has no such comment.
    """
    defaults = yaml.safe_load(VALUES.read_text("utf-8"))
    path: list[tuple[int, str]] = []
    comment = ""
    for number, line in enumerate(VALUES.read_text("utf-8").splitlines(), 1):
        if told := re.match(r"\s*# -- (.*)", line):
            comment = told[1]
            continue
        key = re.match(r"( *)([A-Za-z]+):", line)
        if key is None:
            continue
        path = [step for step in path if step[0] < len(key[1])] + [(len(key[1]), key[2])]
        value: Any = defaults
        for _, name in path:
            value = value.get(name, KeyError) if isinstance(value, dict) else KeyError
        if value is KeyError:
            continue  # inside a list or a value that was told of as a whole
        dotted = ".".join(name for _, name in path)
        if comment:
            yield dotted, value, comment
            # What lies below belongs to this value.
            defaults = _without(defaults, [name for _, name in path])
            comment = ""
        elif not isinstance(value, dict) or not value:
            raise ValueError(f"{VALUES.name}:{number}: {dotted} has no comment `# --`; say what it is for")


def _without(tree: Any, path: list[str]) -> Any:
    first, *rest = path
    return {k: (_without(v, rest) if rest else None) if k == first else v for k, v in tree.items()}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in line) + " |" for line in lines
    )


def _members(module: ModuleType, kind: type[Enum], names: Mapping[Any, str] | None = None) -> Iterator[tuple[str, str]]:
    """Members of an enumeration with the text below each: Python does not keep it, the source does."""
    (found,) = [
        node for node in ast.parse(inspect.getsource(module)).body
        if isinstance(node, ast.ClassDef) and node.name == kind.__name__
    ]  # fmt: skip
    for member, text in zip(found.body, found.body[1:], strict=False):
        if isinstance(member, ast.Assign) and isinstance(member.targets[0], ast.Name):
            value = kind[member.targets[0].id]
            assert isinstance(text, ast.Expr)  # each member has its text below
            assert isinstance(text.value, ast.Constant)
            yield f"`{names[value] if names else value.value}`", str(text.value.value)


def _fields(crd: Mapping[str, Any], tops: Sequence[str]) -> Iterator[str]:
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    for top in tops:
        yield f"### {top}"
        yield table(("field", "type", "default", "meaning"), _rows(schema[top], ""))


def _rows(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, str, str, str]]:
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        here = f"{path}{name}"
        default = f"`{json.dumps(field['default'])}`" if field.get("default") not in (None, {}) else ""
        if name in required and not default:
            default = "required"
        yield f"`{here}`", _type(field), default, field.get("description", "")
        inner, mark = field, "."
        if field.get("type") == "array":
            inner, mark = field["items"], "[]."
        elif "additionalProperties" in field:
            inner, mark = field["additionalProperties"], ".*."
        yield from _rows(inner, here + mark)


def _type(field: Mapping[str, Any]) -> str:
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if field.get("x-kubernetes-int-or-string"):
        return "quantity"
    if field.get("type") == "array":
        return f"list of {_type(field['items'])}"
    if isinstance(field.get("additionalProperties"), dict):
        return f"map to {_type(field['additionalProperties'])}"
    kind = str(field.get("type", "object"))
    bounds = [f"{text} {field[key]}" for key, text in (("minimum", "≥"), ("maximum", "≤")) if key in field]
    return f"{kind} {', '.join(bounds)}".strip()


def _operator_metrics() -> Iterator[tuple[str, str, str]]:
    for metric in OperatorMetrics.create().registry.collect():
        name = f"{metric.name}_total" if metric.type == "counter" else metric.name
        yield f"`{name}`", metric.type, metric.documentation


if __name__ == "__main__":
    sys.exit(main())
