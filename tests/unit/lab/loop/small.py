"""Short synthetic recordings, and runs on them."""

from dataclasses import replace
from typing import Any

import numpy as np

from trimtab.lab.loop.run import Result, first_replicas, simulate
from trimtab.lab.loop.scenario import Scenario, Workload
from trimtab.lab.loop.trimtab import Trimtab
from trimtab.lab.traces import Arrivals

__all__ = ["SMALL", "Result", "first_replicas", "flat", "run", "surge"]

SMALL = Workload(peak_pods=5, startup_seconds=90.0)
"""Five pods at the peak: a tenth of the requests of the default."""


def flat(seconds: int, rate: float = 10.0) -> Arrivals:
    """A constant rate."""
    return Arrivals("flat", np.full(seconds, rate), 1.0)


def surge(seconds: int = 1800, factor: float = 3.0) -> Arrivals:
    """A calm half, then a rise to `factor` within two minutes that stays for half of the rest."""
    time = np.arange(seconds, dtype=np.float64)
    rise = np.clip((time - 0.4 * seconds) / 120.0, 0.0, 1.0) - np.clip((time - 0.75 * seconds) / 120.0, 0.0, 1.0)
    return Arrivals("surge", 10.0 * (1.0 + (factor - 1.0) * rise), 1.0)


def run(policy: Any, arrivals: Arrivals | None = None, seed: int = 1, **scenario: Any) -> Result:
    """One policy through a scenario of these columns."""
    workload = scenario.pop("workload", SMALL)
    described = replace(Scenario(), name="test", workload=workload, **scenario)
    made = policy() if isinstance(policy, type) else policy
    return simulate(arrivals or surge(), described, type(made).__name__.lower(), made, seed)


def trimtab(**fields: Any) -> Trimtab:
    """The operator's engine without the knob, so that a run is about one thing."""
    return Trimtab(**({"knobs": False} | fields))
