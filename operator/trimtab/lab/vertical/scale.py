"""One size for all recordings, so that the floors and buckets of a policy mean on each what they mean on a cluster."""

from dataclasses import replace

import numpy as np

from trimtab.lab.traces import Usage

GIB = 2.0**30
UNIT = {"cpu": 1.0, "memory": 4 * GIB}
"""What mean usage is scaled to: one core, and the memory that general-purpose machines have for each core."""
LARGEST = {"cpu": 500.0, "memory": 500.0 * GIB}
"""Usage is kept below half of what the peers can express (1,000 cores, 1 TB)."""


def normalised(usage: Usage) -> tuple[Usage, float]:
    """The same recording in cores or bytes with a mean of one UNIT over its warm-up, and the factor that did it.

    Recordings come in percent, MHz, counts or an unknown unit. VPA's histogram starts at 0.01 cores and its floors are
    25m and 250 MiB: on a series around 0.003 they would decide alone. Every policy gets the same scaled series; every
    figure in the table is a ratio, in which the factor cancels. The factor looks at the warm-up only, so it tells a
    policy nothing about what is scored. Two exceptions, which change the unit and nothing else: a warm-up of zeros is
    scaled by the mean of the whole recording, and one that grows beyond LARGEST by its largest value.
    """
    warm = usage.values[: usage.scored_from]
    mean = float(warm.mean()) if warm.size else 0.0
    if mean <= 0:
        mean = float(usage.values.mean()) if len(usage) else 0.0
    if mean <= 0:
        return usage, 1.0
    factor = min(UNIT[usage.resource] / mean, LARGEST[usage.resource] / float(np.max(usage.values)))
    provisioned = None if usage.provisioned is None else usage.provisioned * factor
    return replace(usage, values=usage.values * factor, provisioned=provisioned), factor
