"""A request set once."""

import numpy as np
import pytest

from trimtab.lab.peers.static import StaticMax
from trimtab.lab.traces import ResourceName, Usage
from trimtab.lab.vertical.replay import replay_cpu, replay_memory
from trimtab.lab.vertical.score import score


@pytest.mark.parametrize("resource", ["cpu", "memory"])
def test_it_is_the_largest_usage_of_the_warm_up_with_15_percent_for_ever(resource: ResourceName) -> None:
    values = np.concatenate(([1.0, 3.0, 2.0], np.full(9, 5.0)))
    usage = Usage("a", resource, 300.0 * np.arange(12.0), values, 300.0)
    run = replay_cpu if resource == "cpu" else replay_memory
    (done,) = run(StaticMax(), [usage])
    assert usage.scored_from == 3
    assert done.levels[3:] == pytest.approx(3.45)
    assert score(done).changes_per_day == 0
    assert score(done).ooms == (9 if resource == "memory" else 0)
