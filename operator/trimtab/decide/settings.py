"""Every constant of the engine, with its unit and its source. Operator, lab and backtest share the defaults."""

import hashlib
from dataclasses import asdict, dataclass

MIB = float(2**20)
HOUR = 3600.0
DAY = 86400.0


@dataclass(frozen=True, slots=True)
class Settings:
    """Constants of `decide`. Frozen: a digest of them stands beside every recorded decision."""

    # Reading
    max_age: float = 180.0
    """Seconds; an older answer about a target counts as unknown. Three one-minute scrapes."""
    sample_age: float = 600.0
    """Seconds; without a newer usage sample of a container its request is not cut."""
    smoothing_seconds: float = 120.0
    """Time constant of the means that a move is compared with: the usual window of a latency query."""
    missed_samples: int = 2
    """Fresh samples in a row past the target before it counts as missed for a move (ALGORITHMS: two epochs)."""
    near_target: float = 0.08
    """m: from 8% below the target on, nothing is saved that could cost latency (paired coordinate search)."""

    # Requests
    cpu_quantile: float = 0.95
    """Share of CPU samples that fit below the request. VPA takes p90, KRR p95."""
    memory_quantile: float = 0.90
    """Share of daily memory peaks that fit below the request, as VPA does."""
    margin: float = 1.15
    """Factor on both, as VPA does."""
    cpu_half_life: float = DAY
    memory_half_life: float = DAY
    """Seconds in which a sample loses half of its weight, as VPA does."""
    peak_seconds: float = DAY
    """Length of the interval that one memory peak stands for, as VPA does."""
    rebase_half_lives: float = 10.0
    """Weights grow as 2^(age/half-life) and are scaled back after this many, so that float32 holds them."""
    gap_seconds: float = 600.0
    """Longest gap between two samples of a container that still counts as known history."""
    raise_history: float = 600.0
    """Seconds of usage before usage alone raises a request: a start-up burst is shorter."""
    dead_band: float = 0.10
    """Relative change below which a request stays (VPA's updater: 10%)."""
    cpu_dead: float = 0.005
    """Cores: smaller changes are left."""
    memory_dead: float = 16 * MIB
    """Bytes: smaller changes are left."""
    cpu_least: float = 0.010
    memory_least: float = 100e6
    """Cores and bytes that no request is cut below, whatever the bounds allow (KRR: 10m, 100 MB)."""
    first_cut: float = 0.25
    """Largest share cut by the first move of a lever (RULES 14)."""
    later_cut: float = 0.50
    """Largest share cut by any later move (Autothrottle takes at least half of a limit)."""
    cut_hold: float = 6 * HOUR
    """Seconds without a new cut after one was rolled back; doubles with every further one."""
    cut_hold_max: float = 7 * DAY
    working_set_margin: float = 1.10
    """No memory limit is lowered to less than this times the working set (KEP-1287: below usage is refused)."""

    # Emergencies
    oom_factor: float = 1.2
    oom_step: float = 100 * MIB
    """After an OOM kill: max(peak, limit) times the factor, at least the step more, as VPA does."""
    oom_again: float = 2.0
    """Factor when it happens again with the raised value in force: 1.2 · 2 · 2 passes 4× in three kills."""
    oom_repeat: float = DAY
    """Seconds within which a further kill counts as again."""
    oom_floor: float = 7 * DAY
    """Seconds for which memory never goes below the level that an OOM kill asked for."""
    throttled: float = 0.01
    """Share of throttled CPU periods that is too much."""
    throttle_samples: int = 2
    """Samples in a row above it before CPU is raised."""
    throttle_period: float = 60.0
    """Seconds between two raises of one container: the share is a one-minute rate."""
    throttle_min: float = 1.1
    throttle_max: float = 2.0
    """Bounds of the factor 1 + throttled share (after Autothrottle's 1 + throttle − 3·target)."""
    throttle_floor: float = 7 * DAY
    """Seconds for which a limit never goes below the level that throttling asked for."""

    # Replicas
    tolerance: float = 0.1
    """Relative change of the wanted count that is ignored, as in HPA v2."""
    service_half_life: float = 900.0
    """Seconds; half-life of the learned CPU cost of a request (15 min of Σ busy/Σ done)."""
    service_samples: float = 10.0
    """Decayed number of samples before that cost is used."""
    capacity_growth: float = 0.10
    """A learned rate of one pod is trusted this much less every day, so that it is tried again."""
    saturation: float = 0.95
    """Share of the pods' CPU in use, or more, that counts as an emergency."""
    saturated_growth: float = 2.0
    """Factor on the ready pods where they are saturated and the target is missed (HPA v2's +100% a step)."""
    trim_share: float = 0.10
    """A trim adds one pod or this share of them, whichever is more."""
    trim_period: float = 60.0
    """Seconds between two trims."""
    trim_gain: float = 0.05
    """Relative fall of latency that makes a trim useful."""
    futile_raises: int = 3
    """Useless trims in a row before they are taken back and the target is called unreachable (RULES 12)."""
    unreachable_hold: float = HOUR
    """Seconds without a trim after that; doubles with every further time."""
    unreachable_hold_max: float = DAY
    down_hold: float = HOUR
    """Seconds without a scale-down after one was rolled back; doubles with every further one, up to a day."""
    low_utilization: float = 0.5
    """Below this share of the utilisation wanted, more pods are not expected to help: a knob is tried first."""

    # Verification
    verify_skip: float = 0.25
    """Share of the verify window left out at its start: the queries look back."""
    worse: float = 0.10
    """Latency this much higher than before, with the target now missed, means that a move hurt."""
    load_change: float = 0.25
    """Relative change of the arrival rate beyond which before and after a move are not compared."""
    cost_worse: float = 0.05
    """Cost a request this much higher than before means that a knob value hurt."""
    apply_seconds: float = 600.0
    """Seconds after which a move that is not in force has failed."""
    roll_seconds: float = 12 * HOUR
    """The same for a knob's roll, which waits for every pod and every disruption budget."""
    verify_patience: float = 3.0
    """Verify windows and trials without enough samples end after this many times their length."""

    # Knobs
    octave: float = 1.0
    """Largest step in log2 of the value."""
    step_floor: float = 0.2016
    """Smallest step in octaves, log2 1.15; an integer step of one is always possible."""
    step_growth: float = 1.5
    """Factor on the step after a success; a failure halves it."""
    trial_blocks: int = 10
    """Blocks a trial is cut into; the mean of one is one sample: a minute at the default of 600 s."""
    trial_samples: int = 5
    """Samples before a verdict."""
    trial_skip: float = 0.25
    """Share of the trial dropped as warm-up."""
    trial_gain: float = 0.02
    """Smallest gain that is worth a roll."""
    trial_inflation: float = 1.3
    """Factor on the variance for autocorrelation."""
    trial_sigmas: float = 2.0
    """Width of the bound in standard errors."""
    trial_abort: float = 1.5
    trial_abort_cold: float = 3.0
    """A trial pod past this many times the target, while the others meet it, ends the trial (cold: in warm-up)."""
    knob_rest: float = 2.0
    """Rest after a failed trial, in lengths of a trial, times min(4, failures): 4 epochs of 5 min at its default."""
    knob_rest_max: float = DAY
    """Longest rest: a knob at its optimum is looked at once a day."""
    trial_start_seconds: float = 900.0
    """Seconds for a trial pod to become ready."""

    def digest(self) -> str:
        """Twelve hexadecimal digits that differ whenever a constant does."""
        text = ";".join(f"{name}={value!r}" for name, value in sorted(asdict(self).items()))
        return hashlib.sha256(text.encode()).hexdigest()[:12]
