"""Levels of CPU: what they follow, what they cost, what they keep to."""

import numpy as np
import pytest

from tests.unit.decide.estimator.playing import MIDNIGHT, levels, noisy, samples, together
from trimtab.decide.estimator import hold, price
from trimtab.decide.estimator.step import step
from trimtab.decide.estimator.table import ARMS, RISKS, VPA, Levels
from trimtab.decide.settings import Settings

pytestmark = pytest.mark.long

SETTINGS = Settings()
NONE = np.full(1, np.nan, dtype=np.float32)
DAY = 288
"""Samples of five minutes."""


def daily(days: int, seed: int = 1) -> np.ndarray:
    """Usage that follows the day, five times as much at noon as at midnight."""
    hours = np.arange(days * DAY) / 12 % 24
    return noisy(days * DAY, 1.0, 0.05, seed) * (0.6 - 0.4 * np.cos(2 * np.pi * hours / 24))


def test_on_usage_that_follows_the_day_there_is_half_of_vpas_slack_and_no_more_overruns() -> None:
    usage = daily(8)
    own, vpa, _ = levels(usage, 300.0)
    scored = slice(2 * DAY, None)
    slack = [np.maximum(level - usage, 0)[scored].sum() for level in (own, vpa)]
    overruns = [(usage > level)[scored].sum() for level in (own, vpa)]
    assert slack[0] < 0.5 * slack[1]
    assert overruns[0] <= overruns[1]


def test_levels_change_no_more_often_than_the_ration_allows() -> None:
    usage = daily(4) * np.exp(np.random.default_rng(3).normal(0, 0.5, 4 * DAY))
    own, _, _ = levels(usage, 300.0)
    changes = (own[1:] != own[:-1]) & np.isfinite(own[:-1])
    per_day = changes[: 3 * DAY].reshape(-1, DAY).sum(axis=1) if len(changes) >= 3 * DAY else changes.sum()
    assert np.max(per_day) <= SETTINGS.hold_changes + SETTINGS.hold_tokens * 1.5


def test_a_declared_overrun_rate_is_held_and_one_percent_within_a_quarter_of_a_point_over_a_month() -> None:
    usage = np.column_stack([noisy(30 * DAY, 1.0, 0.3, seed=seed) for seed in (11, 1, 1)])
    own, _, _ = together(usage, 300.0, [0.01, 0.02, 0.1])
    over = usage > own
    assert over[2 * DAY :, 0].mean() == pytest.approx(0.01, abs=0.0025)
    assert over[2 * DAY : 10 * DAY, 1].mean() == pytest.approx(0.02, rel=0.35)
    assert over[2 * DAY : 10 * DAY, 2].mean() == pytest.approx(0.1, rel=0.35)


def test_a_deploy_that_triples_usage_is_followed_after_three_samples_at_most() -> None:
    usage = np.concatenate((noisy(2 * DAY, 0.5), noisy(12, 1.5)))
    own, _, _ = levels(usage, 300.0)
    after = own[2 * DAY :]
    assert after[0] < 1.5
    assert (after[3:] >= usage[2 * DAY + 3 :]).mean() >= 0.9


def test_usage_that_falls_to_a_third_is_followed_without_an_overrun() -> None:
    usage = np.concatenate((noisy(2 * DAY, 1.5, 0.05), noisy(DAY, 0.5, 0.05)))
    own, _, _ = levels(usage, 300.0)
    assert (usage > own)[2 * DAY :].sum() == 0
    assert own[-1] < 1.0


def test_a_weekend_is_not_forgotten() -> None:
    steps = np.arange(15 * 96)
    hours, day = steps / 4 % 24, steps // 96 % 7
    busy = (day < 5) & (hours >= 8) & (hours < 18)
    usage = noisy(len(steps), 1.0, 0.05) * np.where(busy, 1.0, 0.2)
    own, vpa, _ = levels(usage, 900.0)
    monday = slice(14 * 96, 15 * 96)
    assert (usage > own)[monday].sum() <= max(2, (usage > vpa)[monday].sum())
    opening = 14 * 96 + 8 * 4
    assert own[opening] > 2 * own[opening - 8]


def test_the_first_hour_has_room_above_everything_seen() -> None:
    table, usage = Levels.blank(1), noisy(60, 0.5, 0.2)
    for i, value in enumerate(usage):
        step(table, np.array([0]), np.array([MIDNIGHT + 60.0 * i]), np.full(1, value, np.float32), NONE, SETTINGS)
        recent = usage[max(0, i - 14) : i + 1].max()
        assert table.wanted[0] >= recent


def test_of_several_pods_the_busiest_has_to_fit() -> None:
    table = Levels.blank(1)
    times = [MIDNIGHT + 60.0 * i for i in range(100) for _ in range(3)]
    samples(table, times, [0.1, 0.2, 0.9] * 100)
    assert table.wanted[0] >= 0.9
    assert table.steps[0] == 100


def test_a_row_is_the_same_alone_and_among_others() -> None:
    rng = np.random.default_rng(4)
    usage = rng.gamma(2.0, 0.3, (150, 7)).astype(np.float32)
    together, alone = Levels.blank(7), Levels.blank(1)
    for i in range(150):
        at = np.full(7, MIDNIGHT + 300.0 * i)
        step(together, np.arange(7), at, usage[i], np.full(7, np.nan, np.float32), SETTINGS)
        step(alone, np.array([0]), at[:1], usage[i, 3:4], NONE, SETTINGS)
    for name, _ in Levels.columns():
        one, all_ = getattr(alone, name)[0], getattr(together, name)[3]
        np.testing.assert_allclose(one, all_, rtol=1e-5, atol=1e-7, err_msg=name)


def test_the_same_samples_give_the_same_bytes() -> None:
    usage = daily(1)
    one, two = levels(usage, 300.0)[2], levels(usage, 300.0)[2]
    for name, _ in Levels.columns():
        assert getattr(one, name).tobytes() == getattr(two, name).tobytes(), name


def test_a_row_takes_less_than_eighteen_hundred_bytes() -> None:
    table = Levels.blank(100)
    assert sum(getattr(table, name).nbytes for name, _ in Levels.columns()) / 100 < 1800


def test_a_dearer_overrun_never_asks_for_less() -> None:
    table = Levels.blank(2)
    table.mean_day[:] = 1.0, 5.0
    curve = np.sort(np.random.default_rng(2).gamma(2.0, 1.0, (2, len(RISKS))).astype(np.float32), axis=1)
    asked = price.priced(table, curve)
    assert (np.diff(asked, axis=1) >= 0).all()
    assert (asked >= curve[:, :1] - 1e-5).all()
    assert (asked <= curve[:, -1:] + 1e-5).all()


def test_a_level_at_a_risk_lies_between_those_of_its_neighbours() -> None:
    curve = np.arange(len(RISKS), dtype=np.float32)[None, :]
    for k, risk in enumerate(RISKS):
        assert price.at_risk(curve, np.log(np.array([risk]))) == pytest.approx(k, abs=1e-4)
    assert price.at_risk(curve, np.log(np.array([0.9], dtype=np.float32))) == 0
    assert price.at_risk(curve, np.log(np.array([1e-9], dtype=np.float32))) == len(RISKS) - 1


def test_a_full_bucket_lets_small_raises_pass_and_an_empty_one_only_large_ones() -> None:
    def moved(tokens: float, wanted: float) -> bool:
        level, held = np.full(1, 1.0, np.float32), np.full(1, tokens, np.float32)
        hold.move(level, held, np.full(1, wanted, np.float32), np.zeros(1), SETTINGS)
        return bool(level[0] != 1.0)

    assert moved(24, 1.04)
    assert not moved(24, 1.02)
    assert not moved(24, 0.95)
    assert moved(24, 0.85)
    assert not moved(0, 1.1)
    assert moved(0, 1.3)
    assert not moved(0, 0.6)
    assert not moved(-12, 5.0)


def test_the_last_arm_is_vpa_and_starts_in_charge() -> None:
    assert VPA == ARMS - 1
    assert Levels.blank(3).arm.tolist() == [VPA] * 3


def test_the_shadow_is_vpas_own_peer_within_a_bucket() -> None:
    from trimtab.lab.peers.vpa_updater import Vpa
    from trimtab.lab.traces import Usage

    usage = daily(3, seed=5)
    own = levels(usage, 300.0)[1]
    times = np.asarray(MIDNIGHT + 300.0 * np.arange(len(usage)), dtype=np.float64)
    (peer,) = Vpa().cpu([Usage("daily", "cpu", times, usage, 300.0)])
    ratio = own[10:] / peer[10:]
    assert (np.abs(ratio - 1) < 1e-3).mean() > 0.95
    assert np.abs(np.log(ratio)).max() < np.log(1.3)
