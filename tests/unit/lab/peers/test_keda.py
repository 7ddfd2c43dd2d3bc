"""KEDA on one Prometheus trigger, as its documentation says."""

import pytest

from trimtab.lab.peers.hpa import Tolerance
from trimtab.lab.peers.keda import is_active, replicas


@pytest.mark.parametrize(
    ("says", "current", "threshold", "value", "expected"),
    [
        ("the sum over the threshold", 1, 10.0, 40.0, 4),
        ("rounded up", 1, 10.0, 41.0, 5),
        ("whatever runs now", 20, 10.0, 40.0, 4),
        ("within 10% of what runs it stays", 4, 10.0, 43.9, 4),
        ("1.1 exactly stays", 4, 10.0, 44.0, 4),
        ("beyond it moves", 4, 10.0, 44.1, 5),
        ("0.9 exactly stays", 10, 1.0, 9.0, 10),
        ("below it moves", 10, 1.0, 8.9, 9),
        ("a fraction of a request", 1, 0.5, 3.0, 6),
        ("nothing asks for none, which minReplicas bounds", 3, 10.0, 0.0, 0),
    ],
)
def test_replicas_are(says: str, current: int, threshold: float, value: float, expected: int) -> None:
    assert replicas(current, threshold, value) == expected, says


def test_the_tolerance_is_the_hpas() -> None:
    assert replicas(4, 10.0, 41.0, tolerance=Tolerance(0.0, 0.0)) == 5


def test_a_trigger_is_active_above_its_activation_threshold_only() -> None:
    assert not is_active(0.0)
    assert is_active(0.1)
    assert not is_active(5.0, 5.0)
    assert is_active(5.1, 5.0)
