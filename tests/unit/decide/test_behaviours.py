"""What a workload goes through, minute by minute: its first hour, deploys, rises and falls, targets out of reach."""

import numpy as np
import pytest

from tests.unit.decide.simulator import FIXED, MIB, START, Simulator, cuts, sized

pytestmark = pytest.mark.long

MINUTE = 60.0
DAY_OF_HISTORY = {**FIXED, "min_history_seconds": 86400.0}


def noisy(mean: float, seed: int = 3, spread: float = 0.15) -> dict[int, float]:
    """Arrival rates by tick of 15 s."""
    draws = np.exp(np.random.default_rng(seed).normal(0.0, spread, 4000))
    return dict(enumerate((mean * draws).tolist()))


def settled(**more: object) -> tuple[Simulator, list[float]]:
    """A pod at 100m whose requests were cut to what it needs, looked at once a minute, and the load it has."""
    load = [2.0]
    sim = sized(tick=MINUTE, **more)
    sim.rate = lambda t: load[0]
    sim.run(2 * 3600)
    assert sim.cpu < 0.15
    return sim, load


def used(sim: Simulator) -> float:
    """Cores that a pod uses now."""
    return min(sim.rate(sim.now) * sim.service(0), 1.0)


def test_in_the_first_hour_nothing_is_cut_and_no_sample_is_above_the_request() -> None:
    rates = noisy(4.0)
    sim = Simulator(rate=lambda t: rates[int((t - START) / 15)], replicas=1, workload=DAY_OF_HISTORY)
    overruns = 0
    for _ in range(240):
        overruns += used(sim) > sim.cpu
        sim.step()
        assert sim.cpu >= 1.0
        assert sim.memory >= 512 * MIB
    assert overruns == 0
    assert not cuts(sim)


def test_a_request_that_is_too_small_from_the_start_is_outgrown_no_longer_after_a_quarter_of_an_hour() -> None:
    rates = noisy(4.0)
    sim = Simulator(rate=lambda t: rates[int((t - START) / 15)], replicas=1, cpu=0.05, workload=DAY_OF_HISTORY)
    late = 0
    for i in range(240):
        above = used(sim) > sim.cpu
        late += above and i >= 60
        sim.step()
    assert late <= 0.02 * 180
    assert not cuts(sim)


def test_a_load_that_triples_is_followed_within_four_minutes() -> None:
    sim, load = settled()
    load[0] = 6.0
    sim.run(4 * MINUTE)
    assert sim.cpu >= used(sim) == pytest.approx(0.3)


def test_a_deploy_that_triples_usage_is_followed_within_a_quarter_of_an_hour_though_learning_starts_anew() -> None:
    sim, load = settled()
    load[0] = 6.0
    sim.override["workload"] = {"template": "t2"}
    assert sim.run(15 * MINUTE, until=lambda s: s.cpu >= used(s))
    low = sim.cpu
    sim.run(3600)
    assert sim.cpu >= low


@pytest.mark.parametrize("template", ["t1", "t2"])
def test_usage_that_falls_to_a_third_is_followed_down_without_an_overrun(template: str) -> None:
    sim, load = settled()
    load[0] = 6.0
    sim.run(3600)
    before = sim.cpu
    load[0] = 2.0
    sim.override["workload"] = {"template": template}
    overruns = 0
    for tick in [MINUTE] * 60 + [5 * MINUTE] * 12 * 11:
        overruns += used(sim) > sim.cpu
        sim.tick = tick
        sim.step()
    assert overruns == 0
    assert sim.cpu < 0.6 * before


def test_a_target_that_no_size_can_meet_never_lowers_a_request() -> None:
    sim = sized(override={"target": {"value": 3.0}}, tick=60.0)
    sim.run(3 * 3600)
    assert sim.cpu >= 1.0
    assert sim.memory >= 512 * MIB
    assert not cuts(sim)


def test_the_only_sample_of_a_container_cuts_nothing() -> None:
    sim = Simulator(rate=lambda t: 2.0, replicas=1, workload=DAY_OF_HISTORY)
    sim.step()
    assert sim.plan is not None
    assert sim.plan.containers.recommended_memory[0] == 230 * MIB
    assert not sim.decisions
