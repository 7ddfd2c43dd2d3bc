"""The HorizontalPodAutoscaler's rate policies and stabilization windows (autoscaling/v2 `behavior`, KEP-853)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

_MOST = 2**31 - 1

Select = Literal["Max", "Min", "Disabled"]


class Policy(NamedTuple):
    """One entry of `behavior.scaleUp.policies` or `.scaleDown.policies`."""

    kind: Literal["Pods", "Percent"]
    value: int
    period_seconds: float


@dataclass(frozen=True, slots=True)
class Rules:
    """`behavior.scaleUp` or `behavior.scaleDown`."""

    window_seconds: float
    """stabilizationWindowSeconds."""
    policies: tuple[Policy, ...]
    select: Select = "Max"
    """Max: the policy that allows the largest change; Min: the smallest."""


DEFAULT_UP = Rules(0.0, (Policy("Pods", 4, 15.0), Policy("Percent", 100, 15.0)))
DEFAULT_DOWN = Rules(300.0, (Policy("Percent", 100, 15.0),))
"""What the API server fills in where `behavior` leaves something out."""


class Change(NamedTuple):
    """Replicas added or removed (a positive number) at a time in seconds."""

    time: float
    replicas: int


class Recommendation(NamedTuple):
    """What the metrics asked for at a time in seconds, before any window or rate."""

    time: float
    replicas: int


def stabilized(
    current: int,
    desired: int,
    past: Sequence[Recommendation],
    now: float,
    up_window: float = DEFAULT_UP.window_seconds,
    down_window: float = DEFAULT_DOWN.window_seconds,
) -> int:
    """Up to the lowest recommendation of the up window, down to the highest of the down window.

    A recommendation counts while it is younger than the window; `desired` itself always counts.
    """
    lowest = min([desired, *(r.replicas for r in past if r.time > now - up_window)])
    highest = max([desired, *(r.replicas for r in past if r.time > now - down_window)])
    return min(max(current, lowest), highest)


def _at_start(current: int, period: float, added: Sequence[Change], removed: Sequence[Change], now: float) -> int:
    """Replicas at the start of a period that ends now."""
    since = now - period
    up = sum(change.replicas for change in added if change.time > since)
    return current - up + sum(change.replicas for change in removed if change.time > since)


def scale_up_limit(
    current: int, added: Sequence[Change], removed: Sequence[Change], now: float, rules: Rules = DEFAULT_UP
) -> int:
    """Most replicas that the policies allow now; below `current` when more were added than they allow."""
    if rules.select == "Disabled":
        return current
    limits = []
    for policy in rules.policies:
        start = _at_start(current, policy.period_seconds, added, removed, now)
        more = math.ceil(start * (1 + policy.value / 100)) if policy.kind == "Percent" else start + policy.value
        limits.append(more)
    if not limits:
        return _MOST if rules.select == "Min" else -_MOST
    return min(limits) if rules.select == "Min" else max(limits)


def scale_down_limit(
    current: int, added: Sequence[Change], removed: Sequence[Change], now: float, rules: Rules = DEFAULT_DOWN
) -> int:
    """Fewest replicas that the policies allow now; above `current` when more were removed than they allow."""
    if rules.select == "Disabled":
        return current
    limits = []
    for policy in rules.policies:
        start = _at_start(current, policy.period_seconds, added, removed, now)
        limits.append(int(start * (1 - policy.value / 100)) if policy.kind == "Percent" else start - policy.value)
    if not limits:
        return -_MOST if rules.select == "Min" else _MOST
    return max(limits) if rules.select == "Min" else min(limits)


def rate_limited(
    current: int,
    desired: int,
    least: int,
    most: int,
    added: Sequence[Change],
    removed: Sequence[Change],
    now: float,
    up: Rules = DEFAULT_UP,
    down: Rules = DEFAULT_DOWN,
) -> int:
    """`desired` within minReplicas…maxReplicas and within what the policies allow from `current`."""
    if desired > current:
        return min(desired, most, max(scale_up_limit(current, added, removed, now, up), current))
    if desired < current:
        return max(desired, least, min(scale_down_limit(current, added, removed, now, down), current))
    return desired


def bounded_without_behavior(current: int, desired: int, least: int, most: int) -> int:
    """The bounds of an HPA without `behavior`: at most double, or 4, in one step (the window is `stabilized`)."""
    return max(min(desired, most, max(2 * current, 4)), least)
