"""Policies on cases: what they see, when it takes effect, and what is counted."""

from functools import partial

import numpy as np
import pytest

from tests.unit.lab.horizontal.cases import case, scripted, waves
from trimtab.decide.columns import I8
from trimtab.lab.horizontal.policy import Metrics
from trimtab.lab.horizontal.rivals import Hpa, Keda, Static
from trimtab.lab.horizontal.run import Outcome, replay, simulate
from trimtab.lab.traces import Arrivals

STEADY = Arrivals("steady", np.full(40, 50.0), 60.0)


def same(one: Outcome, other: Outcome) -> bool:
    numbers = (one.violations, one.pod_hours, one.core_hours, one.changes_per_day)
    return numbers == (other.violations, other.pod_hours, other.core_hours, other.changes_per_day) and all(
        bool((getattr(one, name) == getattr(other, name)).all()) for name in ("requests", "bad", "replicas", "ready")
    )


def test_the_same_case_gives_the_same_outcome_whatever_runs_beside_it() -> None:
    alone = simulate([case()], {"hpa": partial(Hpa, target=70)})["hpa"][0]
    beside = simulate(
        [case(150.0), case(), case(service="random-10")],
        {"keda": Keda, "hpa": partial(Hpa, target=70), "static": Static},
    )["hpa"][1]
    assert same(alone, beside)
    assert not same(alone, simulate([case(seed=1)], {"hpa": partial(Hpa, target=70)})["hpa"][0])


def test_a_schedule_replayed_is_the_policy_that_asks_for_it() -> None:
    def wanted(now: float) -> int:
        return 8 + 4 * (now % 600 < 300)

    make, _ = scripted(wanted)
    live = simulate([case()], {"scripted": make})["scripted"][0]
    known = replay(case(), np.array([wanted(15.0 * tick) for tick in range(160)], dtype=np.int64))
    assert same(live, known)


def test_pods_ordered_serve_a_start_up_later_and_are_paid_for_from_the_start() -> None:
    make, made = scripted(lambda now: 10 if now < 1200 else 12)
    outcome = simulate([case(150.0, initial=10)], {"scripted": make})["scripted"][0]
    at = {step["now"]: step for step in made[0].seen}
    assert [at[t]["ready"] for t in (1200.0, 1335.0, 1350.0)] == [10, 10, 12]
    assert [at[t]["starting"] for t in (1200.0, 1215.0, 1350.0)] == [0, 2, 0]
    assert outcome.replicas[1200 // 15] == 12
    assert outcome.pod_hours == pytest.approx((10 * 600 + 12 * 1200) / 3600)
    assert outcome.core_hours == outcome.pod_hours
    assert outcome.changes_per_day == pytest.approx(1 / (1800 / 86400))


def test_what_is_measured_is_up_to_thirty_seconds_old_and_two_ticks_see_the_same() -> None:
    make, made = scripted(lambda _: 10)
    simulate([case(arrivals=STEADY, initial=10)], {"scripted": make})
    steps = [step for step in made[0].seen if np.isfinite(step["measured_at"])]
    ages = np.array([step["now"] - step["measured_at"] for step in steps])
    assert ages.min() >= 0
    assert 15 < ages.max() < 30
    stamps = [step["measured_at"] for step in steps]
    assert np.diff(sorted(set(stamps))) == pytest.approx(30.0)
    assert [step["now"] for step in made[0].seen if step not in steps] == [0, 15, 30]


def test_a_step_in_the_load_shows_in_full_only_after_a_minute_and_the_delay() -> None:
    step_up = Arrivals("step", np.concatenate([np.full(1200, 20.0), np.full(1200, 80.0)]), 1.0)
    make, made = scripted(lambda _: 20)
    simulate([case(arrivals=step_up, service="two-40", initial=60)], {"scripted": make})
    rate = {step["now"]: step["arrival_rate"] for step in made[0].seen}
    low, high = rate[1185.0], rate[1500.0]
    assert high == pytest.approx(4 * low, rel=0.25)
    assert rate[1200.0] < 1.5 * low
    reached = min(now for now, value in rate.items() if now > 1200 and value > 0.9 * high)
    assert 1245 <= reached <= 1290


def test_what_is_measured_agrees_with_the_queue() -> None:
    make, made = scripted(lambda _: 10)
    simulate([case(arrivals=STEADY, initial=10)], {"scripted": make})
    kind = case().service
    late = made[0].seen[40:]
    rates, done, cpu = (np.mean([step[k] for step in late]) for k in ("arrival_rate", "done_rate", "cpu_usage"))
    assert rates == pytest.approx(0.7 * 10 * kind.capacity, rel=0.05)
    assert done == pytest.approx(rates, rel=0.02)
    assert cpu == pytest.approx(rates * kind.mean_seconds * kind.cores / kind.workers, rel=0.03)
    assert np.mean([step["utilization"] for step in late]) == pytest.approx(0.7, rel=0.05)
    assert all(0 <= step["violated"] <= 1 for step in late)
    p95 = np.mean([step["latency_p95"] for step in late])
    assert kind.mean_seconds < p95 < kind.target


def test_an_overloaded_service_uses_all_its_cpu_and_finishes_less_than_arrives() -> None:
    make, made = scripted(lambda _: 5)
    outcome = simulate([case(arrivals=STEADY, initial=5)], {"scripted": make})["scripted"][0]
    last = made[0].seen[-1]
    assert last["utilization"] == pytest.approx(1.0)
    assert last["done_rate"] < 0.8 * last["arrival_rate"]
    assert last["violated"] == 1.0
    assert outcome.violations == 1.0


def test_a_new_pod_has_no_usage_until_it_was_scraped_twice() -> None:
    lists: list[tuple[float, list[bool]]] = []

    class Watching:
        def step(self, now: float, seen: Metrics) -> I8:
            lists.append((now, [pod.usage is None for pod in seen.pods(0)]))
            return np.array([10 if now < 300 else 11], dtype=np.int64)

    simulate([case(arrivals=STEADY, initial=10)], {"watching": lambda _: Watching()})
    missing = [now for now, flags in lists if len(flags) == 11 and flags[10]]
    assert missing[0] == 315
    assert 330 <= missing[-1] < 375


def test_replicas_are_kept_within_their_bounds_and_never_none() -> None:
    make, made = scripted(lambda now: 1000 if now < 600 else -5)
    simulate([case(0.0)], {"scripted": make})
    counts = [step["replicas"] for step in made[0].seen]
    assert max(counts) == case().service.most_pods
    assert counts[-1] == 1


def test_recordings_of_different_lengths_end_each_at_its_own_time() -> None:
    make, _ = scripted(lambda _: 10)
    short, long = case(arrivals=waves(20, "short")), case(arrivals=waves(40, "long"))
    both = simulate([short, long], {"scripted": make})["scripted"]
    assert [len(outcome.replicas) for outcome in both] == [80, 160]
    assert same(both[0], simulate([short], {"scripted": make})["scripted"][0])


def test_progress_is_told_and_ends_below_the_whole() -> None:
    told: list[float] = []
    make, _ = scripted(lambda _: 10)
    simulate([case()], {"scripted": make}, told.append)
    assert told == sorted(told)
    assert told[0] == 0.0
    assert told[-1] < 1.0
