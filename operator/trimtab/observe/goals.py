"""Service level objectives: what is asked for them each tick, and their rows of the Observation."""

from collections.abc import Collection, Mapping

from trimtab.api.answers import Answer, AnswerKind
from trimtab.api.monitoring import Objective
from trimtab.observe.asker import Asker
from trimtab.observe.meters import Goal
from trimtab.observe.view import View

Row = dict[str, object]
MAX_SPANS = 4.0
"""A measurement stands for at most this many sample intervals; what lies before is unknown time."""


def goal_key(config: str, goal: Goal) -> str:
    """Identity of an objective: namespace/name/objective/digest."""
    return f"{config}/{goal.objective.name}/{goal.digest}"


def register_goals(view: View, asker: Asker) -> None:
    """Ask for good and total where an objective has queries of its own."""
    for goal in view.plans.goals:
        for side, meter in (("good", goal.good), ("total", goal.total)):
            if meter is not None:
                key = (view.config.key, "", f"goal {goal.objective.name} {side}")
                asker.want(key, view.source, meter, view.everybody, view.interval)


class GoalRows:
    """Rows of Objectives, with the time that each measurement stands for."""

    def __init__(self) -> None:
        self._last: dict[str, dict[str, float]] = {}

    def rows(self, view: View, workload: int, asker: Asker, now: float) -> list[Row]:
        """Rows of one resource; where this tick is its own, its measurements are used up."""
        if not view.plans.goals:
            return []
        rows = goal_rows(view, workload, asker, self._last.get(view.config.key, {}), now)
        if view.due:
            self._last[view.config.key] = {str(found["key"]): now for found in rows}
        return rows

    def forget(self, keys: Collection[str]) -> None:
        """Drop resources that are gone; `keys` are those that are still there."""
        self._last = {key: known for key, known in self._last.items() if key in keys}


def goal_rows(view: View, workload: int, asker: Asker, last: Mapping[str, float], now: float) -> list[Row]:
    """Rows of Objectives; `last` is when each was measured before, by key, in Unix seconds."""
    rows: list[Row] = []
    for goal in view.plans.goals:
        key, objective = goal_key(view.config.key, goal), goal.objective
        if goal.good is not None and goal.total is not None:
            sides = [
                asker.answer(
                    (view.config.key, "", f"goal {objective.name} {side}"),
                    view.source,
                    meter,
                    view.everybody,
                    view.interval,
                    now,
                )
                for side, meter in (("good", goal.good), ("total", goal.total))
            ]
            measured = _by_events(sides[0], sides[1])
            # What is wrong with a query is told where metrics without a number are.
            for side, answer in zip(("good", "total"), sides, strict=True):
                if answer.kind not in (AnswerKind.VALUE, AnswerKind.NO_TRAFFIC):
                    view.metrics[f"{objective.name}.{side}"] = answer
        else:
            measured = _by_metric(objective, view.metrics.get(objective.metric or ""))
        span = min(now - last.get(key, now - view.interval), MAX_SPANS * view.interval)
        rows.append(
            {
                "workload": workload,
                "key": key,
                "name": objective.name,
                "target": float(objective.target),
                "window_days": objective.window_days,
                "span": span if view.due else 0.0,
            }
            | measured
        )
    return rows


def is_good(objective: Objective, value: float) -> bool:
    """Whether a value of its metric is inside the objective's bound."""
    if objective.at_most is not None:
        return value <= float(objective.at_most)
    return objective.at_least is not None and value >= float(objective.at_least)


def _by_metric(objective: Objective, answer: Answer | None) -> Row:
    if answer is None or not answer.known:
        return {"kind": int(answer.kind if answer is not None else AnswerKind.EMPTY)}
    return {"kind": int(AnswerKind.VALUE), "good": float(is_good(objective, answer.value)), "total": 1.0}


def _by_events(good: Answer, total: Answer) -> Row:
    if total.kind is AnswerKind.NO_TRAFFIC or (total.known and total.value <= 0):
        return {"kind": int(AnswerKind.NO_TRAFFIC)}
    if not total.known or not good.known:
        return {"kind": int(good.kind if total.known else total.kind)}
    return {"kind": int(AnswerKind.VALUE), "good": max(good.value, 0.0), "total": total.value}
