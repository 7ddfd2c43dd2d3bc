"""The replay: causal, honest about what an OOM kill hides, and strict with policies."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from trimtab.decide.columns import B1, F8
from trimtab.lab.traces import DAY, ResourceName, Usage
from trimtab.lab.vertical.generated import families
from trimtab.lab.vertical.policies import known
from trimtab.lab.vertical.replay import Grid, MemoryRun, Told, grid_of, replay_cpu, replay_memory, stepwise, untold
from trimtab.lab.vertical.scale import GIB, normalised
from trimtab.lab.vertical.score import score


def made(values: Sequence[float], resource: ResourceName = "cpu", step: float = 300.0, start: float = 0.0) -> Usage:
    array = np.array(values, dtype=np.float64)
    return Usage("made", resource, start + step * np.arange(float(len(array))), array, step)


def daily(resource: ResourceName, days: float = 5.0, seed: int = 7) -> Usage:
    """A day's swing with noise and a few bursts, around one core or four GiB."""
    random = np.random.default_rng(seed)
    times = np.arange(0.0, days * DAY, 300.0)
    shape = 1 + 0.5 * np.sin(times / DAY * 2 * np.pi) + random.exponential(0.1, len(times))
    return Usage(f"daily-{seed}", resource, times, shape * (1.0 if resource == "cpu" else 4 * GIB), 300.0)


class Says:
    """A policy with levels known in advance; notes what it was shown."""

    name = "says"

    def __init__(self, levels: Sequence[float]) -> None:
        self.levels = list(levels)
        self.shown: list[tuple[float, float, bool]] = []

    def cpu(self, usages: Sequence[Usage], told: Told = untold) -> list[F8]:
        return [np.array(self.levels) for _ in usages]

    def memory(self, grid: Grid) -> MemoryRun:
        return self

    def step(self, now: float, seen: F8, killed: B1) -> F8:
        self.shown.append((now, float(seen[0]), bool(killed[0])))
        return np.full(len(seen), self.levels[len(self.shown) - 1])


def test_usage_above_the_level_is_a_kill_that_hides_how_much_was_wanted() -> None:
    policy = Says([10, 10, 4, 6])
    (done,) = replay_memory(policy, [made([3, 4, 5, 6], "memory")])
    assert done.killed.tolist() == [False, False, True, False]
    assert policy.shown[1:] == [(300.0, 3.0, False), (600.0, 4.0, False), (900.0, 4.0, True)]


def test_nothing_is_killed_during_the_warm_up() -> None:
    (done,) = replay_memory(Says([1, 1, 9, 9]), [made([3, 4, 5, 6], "memory")])
    assert made([3, 4, 5, 6]).scored_from == 1
    assert done.killed.tolist() == [False, True, False, False]


def test_a_policy_that_does_not_answer_is_killed_once_a_sample() -> None:
    (done,) = replay_memory(Says([2] * 8), [made([1, 1, 3, 3, 3, 3, 3, 3], "memory")])
    assert score(done).ooms == 6


def test_in_a_gap_nothing_is_seen_and_nothing_is_scored() -> None:
    whole = made([3, 4, 5, 6], "memory")
    gap = replace(whole, times=np.array([0.0, 300.0, 1200.0, 1500.0]))
    policy = Says([9, 9, 9, 9, 9, 9])
    (done,) = replay_memory(policy, [gap])
    assert [round(now) for now, seen, _ in policy.shown if np.isnan(seen)] == [0, 900, 1200]
    assert len(done.levels) == 4


def test_a_clock_that_drifts_never_puts_two_samples_into_one_slot() -> None:
    usage = replace(made([1, 2, 3, 4, 5]), times=np.array([0.0, 301.0, 449.0, 902.0, 1204.0]))
    grid = grid_of([usage])
    assert grid.slots[0].tolist() == [0, 1, 2, 3, 4]
    assert grid.values[0].tolist() == [1, 2, 3, 4, 5]


def test_recordings_of_one_step_are_rows_of_one_table_and_come_back_in_order() -> None:
    usages = [replace(made([1] * 8, "memory", step), name=str(step)) for step in (60.0, 300.0, 60.0)]
    done = replay_memory(Says([9] * 99), usages[:2])
    assert [d.usage.name for d in done] == ["60.0", "300.0"]
    assert len(stepwise(lambda grid: Says([grid.rows] * 9), usages)) == 3
    assert [levels[0] for levels in stepwise(lambda grid: Says([grid.rows] * 9), usages)] == [2, 1, 2]


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, -1.0])
def test_a_level_that_is_no_size_is_refused_by_name(bad: float) -> None:
    with pytest.raises(ValueError, match=r"says gave the level .* for sample 2 of made"):
        replay_cpu(Says([1, 1, bad, 1]), [made([1, 1, 1, 1])])
    with pytest.raises(ValueError, match="says gave the level"):
        replay_memory(Says([1, 1, bad, 1]), [made([1, 1, 1, 1], "memory")])


def test_a_level_may_be_unknown_during_the_warm_up() -> None:
    (done,) = replay_cpu(Says([np.nan, 2, 2, 2]), [made([1, 1, 1, 1])])
    assert score(done).changes_per_day == 0


def test_slack_overrun_depth_and_changes_are_what_their_definitions_say() -> None:
    (done,) = replay_cpu(Says([9, 9, 2, 2, 4, 4]), [made([9, 9, 1, 4, 5, 2])])
    row = score(done)
    assert row.slack == pytest.approx((1 + 0 + 0 + 2) / 12)
    assert row.overrun == pytest.approx(2 / 4)
    assert row.overrun_depth == pytest.approx((2 / 4 + 1 / 5) / 2)
    assert row.changes_per_day == pytest.approx(2 / (4 * 300 / DAY))
    assert row.ooms == 0


def test_a_recording_of_zeros_is_scored_without_dividing_by_zero() -> None:
    (done,) = replay_cpu(Says([1, 1, 1, 1]), [made([0, 0, 0, 0])])
    assert (score(done).slack, score(done).overrun) == (1.0, 0.0)


@pytest.mark.parametrize(("resource", "unit"), [("cpu", 1.0), ("memory", 4 * GIB)])
@pytest.mark.parametrize("size", [1e-3, 1.0, 1e9])
def test_every_recording_is_scaled_by_its_warm_up_alone(resource: ResourceName, unit: float, size: float) -> None:
    usage = made([size] * 8, resource)
    scaled, factor = normalised(usage)
    assert scaled.values == pytest.approx(unit)
    later = replace(usage, values=np.concatenate((usage.values[:2], usage.values[2:] * 3)))
    assert normalised(later)[1] == factor


def test_a_warm_up_of_zeros_is_scaled_by_what_follows() -> None:
    scaled, _ = normalised(made([0, 0, 2, 2, 2, 2, 2, 2]))
    assert scaled.values.mean() == pytest.approx(1.0)
    assert normalised(made([0] * 8))[1] == 1.0


def test_growth_beyond_what_peers_can_express_is_scaled_down() -> None:
    scaled, _ = normalised(made([1, 1, 1, 1, 1, 1, 1, 10_000]))
    assert scaled.values.max() == pytest.approx(500.0)


CAUSAL = [name for name, make in known().items() if not getattr(make(), "hindsight", False)]


@pytest.mark.parametrize("name", CAUSAL)
@pytest.mark.parametrize("resource", ["cpu", "memory"])
def test_the_future_never_changes_the_past(name: str, resource: ResourceName) -> None:
    usage = daily(resource, 2.0)
    cut = int(len(usage) * 0.7)
    changed = usage.values.copy()
    changed[cut:] = changed[cut:][::-1] * 3
    other = replace(usage, values=changed)
    run = replay_cpu if resource == "cpu" else replay_memory
    first, second = (run(known()[name](), [one])[0].levels for one in (usage, other))
    assert np.array_equal(first[: cut + 1], second[: cut + 1], equal_nan=True)


@pytest.mark.parametrize("name", list(known()))
@pytest.mark.parametrize("resource", ["cpu", "memory"])
def test_a_policy_is_deterministic_and_sees_each_recording_alone(name: str, resource: ResourceName) -> None:
    usages = [daily(resource, 2.0, seed) for seed in (1, 2)]
    run = replay_cpu if resource == "cpu" else replay_memory
    both = run(known()[name](), usages)
    alone = [run(known()[name](), [usage])[0] for usage in usages]
    for one, other in zip(both, alone, strict=True):
        assert np.array_equal(one.levels, other.levels, equal_nan=True)


@pytest.mark.parametrize("name", list(known()))
@pytest.mark.parametrize("resource", ["cpu", "memory"])
@pytest.mark.parametrize("values", [[1.0] * 40, [0.0] * 40, [1.0, 1.0, 50.0, 50.0], [0.0] * 20 + [1e9] * 20])
def test_odd_recordings_get_sizes_from_every_policy(name: str, resource: ResourceName, values: list[float]) -> None:
    usage, _ = normalised(made(values, resource))
    run = replay_cpu if resource == "cpu" else replay_memory
    (done,) = run(known()[name](), [usage])
    assert np.isfinite(score(done).slack)


def test_the_oracle_never_has_an_overrun() -> None:
    policy = known()["oracle"]()
    for done in [*replay_cpu(policy, [daily("cpu")]), *replay_memory(policy, [daily("memory")])]:
        assert score(done).overrun == 0
        assert score(done).changes_per_day <= 24


def test_generated_families_are_the_same_for_the_same_seed_and_differ_between_seeds() -> None:
    once, again = families([1, 2]), families([1, 2])
    assert [u.name for u in once[:2]] == ["generated/steady-1", "generated/steady-2"]
    assert all(np.array_equal(a.values, b.values) for a, b in zip(once, again, strict=True))
    assert not np.array_equal(once[0].values, once[1].values)
    assert {u.resource for u in once} == {"memory"}
    assert all(u.values.min() > 0 for u in once)
    assert len(once) == 10
