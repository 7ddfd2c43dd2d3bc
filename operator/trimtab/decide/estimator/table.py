"""What the estimator remembers of a container, as columns: about 1.7 KB a row."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trimtab.decide.columns import B1, F8, I8, Table, column
from trimtab.decide.histogram import Buckets

F4 = npt.NDArray[np.float32]
NAN = float("nan")

EXPERTS = 5
"""recent maximum, mean of a quarter of an hour, time of day (level-corrected), recent or time of day, mean of a day."""
RISKS = np.array([0.4, 0.25, 0.15, 0.08, 0.04, 0.02, 0.01, 0.004, 0.001, 0.0002], dtype=np.float32)
"""Chances of an overrun that margins are learned for."""
PRICES = np.geomspace(0.15, 400.0, 12).astype(np.float32)
"""Prices of an overrun, in mean usages of a container: what one sample above the level may cost in unused cores."""
CAPPED = (2, 4, 6, 8, 10, 11)
"""Of these prices there is also an arm that never asks for more than VPA."""
STRETCHED = (1.1, 1.3)
"""Factors on the safest level: arms for where no overrun at all may happen, free and capped."""
ARMS = len(PRICES) + len(CAPPED) + 2 * len(STRETCHED) + 1
VPA = ARMS - 1
"""The last arm is VPA itself."""
VPA_CPU = Buckets(0.01, 1000.0)
"""VPA's buckets: 0.01 to 1,000 cores, each 5% wider than the one before."""
SAMPLE_WEIGHT = 30.0
"""One sample in the histogram: with a half-life of a day and one a minute no cell passes 62,400."""
BLOCKS = 4
BLOCK_SECONDS = 300.0
"""The recent maximum covers this many blocks: 15 to 20 minutes."""
SLOTS = 48
SLOT_SECONDS = 1800.0
"""The time of day is known by half hours."""
PEAKS = 24
PEAK_SECONDS = 8 * 3600.0
"""Memory is known by its peaks of 8 hours over 8 days."""


@dataclass(frozen=True, slots=True)
class Levels(Table):
    """A row a container. Times are Unix seconds; amounts are cores, of memory bytes; 0 or NaN: nothing yet."""

    # The minute that is being filled
    phase: F4 = column("f4", 0.0)
    """Seconds that this row's minutes are shifted by, so that not all rows end theirs in the same tick."""
    minute: I8 = column("i8", -1)
    """Number of the minute that is being filled, or of the last one that was; −1: none yet."""
    filling: F4 = column("f4", -1.0)
    """Largest sample of it, over all pods; −1: it is finished."""
    filled_at: F8 = column("f8", 0.0)
    """Time of its newest sample."""
    # What was seen
    begun_at: F8 = column("f8", 0.0)
    stepped_at: F8 = column("f8", 0.0)
    """Times of the first and of the newest finished minute."""
    steps: F4 = column("f4", 0.0)
    """Finished minutes, up to 1e6."""
    known: F4 = column("f4", 0.0)
    """Days of usage that they stand for."""
    lowest: F4 = column("f4", NAN)
    """Smallest usage of late; forgets by doubling every two days."""
    doubted_at: F8 = column("f8", 0.0)
    """Since when usage is implausibly far below that; 0: it is not."""
    resting: B1 = column(bool, False)
    rests: npt.NDArray[np.int8] = column("i1", 0)
    """Whether the newest minute said exactly 0, and how often usage came back from that, up to 100."""
    # Experts
    block: I8 = column("i8", -1)
    blocks: F4 = column("f4", 0.0, width=BLOCKS)
    """Number of the present block of five minutes, and the maxima of the newest ones."""
    mean5: F4 = column("f4", NAN)
    mean15: F4 = column("f4", NAN)
    mean_day: F4 = column("f4", NAN)
    """Exponential means with half-lives of 5 and 15 minutes and a day."""
    slot: I8 = column("i8", -1)
    slot_peak: F4 = column("f4", 0.0)
    slot_sum: F4 = column("f4", 0.0)
    slot_count: F4 = column("f4", 0.0)
    """Number of the present half hour, its maximum, sum and number of minutes."""
    day_peak: npt.NDArray[np.float16] = column("f2", NAN, width=SLOTS)
    day_mean: npt.NDArray[np.float16] = column("f2", NAN, width=SLOTS)
    """Peak and mean by half hour of the day, averaged over days; cores, up to 65,000."""
    centre: F4 = column("f4", NAN, width=EXPERTS)
    """What each expert forecast last."""
    # Margins
    margin: F4 = column("f4", NAN, width=EXPERTS * len(RISKS))
    """By expert and risk: log of the factor on the forecast."""
    spread: F4 = column("f4", 0.1, width=EXPERTS)
    """Mean absolute error of each expert, log."""
    loss: F4 = column("f4", 0.0, width=EXPERTS * len(RISKS))
    """By expert and risk: decayed pinball loss, in mean usages."""
    # Shadow of VPA
    histogram: npt.NDArray[np.uint16] = column("u2", 0, width=VPA_CPU.count)
    """VPA's histogram of samples in parts of SAMPLE_WEIGHT, decayed to `histogram_at`."""
    histogram_at: F8 = column("f8", 0.0)
    vpa: F4 = column("f4", NAN)
    vpa_since: F8 = column("f8", 0.0)
    """Request that VPA would have in force, and since when."""
    vpa_rate: F4 = column("f4", 0.0)
    vpa_count: F4 = column("f4", 0.0)
    """Decayed share of minutes, and number of minutes, in which that would have been overrun."""
    # Bank
    level: F4 = column("f4", NAN, width=ARMS)
    tokens: F4 = column("f4", 24.0, width=ARMS)
    """By arm: the level it would have in force, and changes it may still make."""
    slack: F4 = column("f4", 0.0, width=ARMS)
    excess: F4 = column("f4", 0.0, width=ARMS)
    close: F4 = column("f4", 0.0, width=ARMS)
    """By arm, decayed: unused level in mean usages; share of minutes with an overrun beyond VPA's; the same had usage
    been a little higher."""
    arm: npt.NDArray[np.int8] = column("i1", VPA)
    judged: I8 = column("i8", -1)
    """The arm that is followed, and the hour in which it was chosen."""
    over: npt.NDArray[np.int8] = column("i1", 0)
    """Minutes in a row in which usage was above the level that is asked for, up to 100."""
    credit: F4 = column("f4", 0.0)
    """Decayed number of overruns that VPA would have had and this estimator did not; negative: the other way round."""
    saved: F4 = column("f4", 0.0)
    """Decayed sum of slack that VPA would have had and this estimator did not, in mean usages times days."""
    drift: F4 = column("f4", 0.0)
    """log of the correction on a declared overrun rate."""
    wanted: F4 = column("f4", NAN)
    wanted_tokens: F4 = column("f4", 24.0)
    """The level that this estimator asks for, cores, and changes that it may still make."""
    # Memory
    peak_slot: I8 = column("i8", -1)
    peaks: F4 = column("f4", 0.0, width=PEAKS)
    """Number of the newest 8 hours, and the largest working set of each of the last ones, bytes; 0: none known."""
    memory: F4 = column("f4", NAN)
    """The memory that this estimator asks for, bytes."""


_NAMES = tuple(name for name, _ in Levels.columns())


def gather(table: Levels, rows: I8) -> Levels:
    """The estimator's columns of these rows, as arrays of their own."""
    return Levels(**{name: getattr(table, name)[rows] for name in _NAMES})


def scatter(table: Levels, rows: I8, part: Levels) -> None:
    """Put them back."""
    for name in _NAMES:
        getattr(table, name)[rows] = getattr(part, name)
