"""Which lever may be moved on a workload, and why not (RULES 5, 6, 8, 9, 10).

Nothing is ever refused without a finding that names the object and the remedy.
"""

from dataclasses import dataclass

from trimtab.decide.observation import Block, Lever
from trimtab.observe.cases import RESOURCES, Case, wanted
from trimtab.observe.checks import CHECKS


@dataclass(frozen=True, slots=True)
class Levers:
    """What may be moved on one workload."""

    allowed: tuple[bool, bool, bool, bool]
    """By Lever."""
    cpu: frozenset[str]
    memory: frozenset[str]
    """Containers whose request may be moved."""
    knobs: frozenset[str]
    blocks: tuple[Block, ...]
    fallback: str = ""
    """How moves are made where the cluster lacks an API, one sentence; empty when nothing is lacking."""


def judge(case: Case) -> Levers:
    """Run every check. Levers that the constraints do not list give no findings: nobody wants them moved."""
    listed = wanted(case.config)
    findings = list(dict.fromkeys(finding for check in CHECKS for finding in check(case) if finding.lever in listed))
    whole = {finding.lever for finding in findings if not finding.subject}
    barred = {(finding.lever, finding.subject) for finding in findings}
    constraints = case.config.spec.optimization.constraints
    names = [container.name for container in constraints.containers]
    return Levers(
        allowed=tuple(lever in listed and lever not in whole for lever in Lever),  # type: ignore[arg-type]
        cpu=frozenset(name for name in names if Lever.CPU not in whole and (Lever.CPU, name) not in barred),
        memory=frozenset(name for name in names if Lever.MEMORY not in whole and (Lever.MEMORY, name) not in barred),
        knobs=frozenset(
            knob.name for knob in constraints.knobs if Lever.KNOB not in whole and (Lever.KNOB, knob.name) not in barred
        ),
        blocks=tuple(Block(finding.lever, finding.reason, finding.message) for finding in findings),
        fallback=_fallback(case),
    )


def _fallback(case: Case) -> str:
    """Without the admission policy pods start with the template's values and are resized a moment later."""
    if case.shapes_new_pods or not wanted(case.config) & set(RESOURCES) or not case.built_in:
        return ""
    return (
        f"New pods of {case.name} start with the template's values and are resized after start; enable admissionPolicy "
        "in the chart's values (Kubernetes 1.36)."
    )
