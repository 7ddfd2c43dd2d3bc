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
    """Fresh samples in a row past the target before it counts as missed for a move (one alone may be noise)."""
    near_target: float = 0.08
    """m: from 8% below the target on, nothing is saved that could cost latency (paired coordinate search)."""

    # Requests
    gap_seconds: float = 600.0
    """Longest gap between two samples of a container that still counts as known history."""
    raise_history: float = 600.0
    """Seconds of usage before usage alone raises a request, a start-up burst is shorter; minHistorySeconds if less."""
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

    # Levels: what usage asks for (estimator/; where no other source is named, docs/design/estimator.md has the figures)
    margin_memory: float = 1.5 * DAY
    """Seconds of errors that a margin remembers; half a day is too few, four days hardly differ."""
    loss_half_life: float = 20 * DAY
    """Seconds in which a loss of an expert counts half; 4 to 20 days hardly differ."""
    mixture_power: float = 12.0
    """How sharply the mixture prefers the expert with the smallest loss; 6 to 24 hardly differ."""
    idle_share: float = 0.1
    """Share of mean usage added before ratios are taken, so that near-idle containers keep finite ones."""
    hold_changes: float = 48.0
    """Changes of a level a day: maxResizesPerDay's default."""
    hold_tokens: float = 24.0
    """Changes that may be saved up."""
    hold_up: float = 0.03
    hold_down: float = 0.10
    """Relative change below which a level stays while the bucket is full, for raises and for cuts."""
    hold_up_short: float = 0.17
    hold_down_short: float = 0.50
    """What is added to it when the bucket is empty."""
    bank_after_days: float = 1.0
    """Days of usage before VPA is a yardstick: the confidence it has after a day is 1."""
    bank_half_life: float = 4 * DAY
    """Seconds in which slack and overruns of an arm count half."""
    bank_horizon: float = 3 * DAY
    """Seconds within which credit may be used up."""
    bank_most: float = 3.0
    """Most excess of overruns while credit lasts, in VPA's overruns."""
    bank_gain: float = 0.03
    """Share of slack that another arm has to save to be worth a change."""
    bank_clearance: float = 0.06
    """Headroom that an arm has to have kept always to count as safe where overruns are rare."""
    bank_rare: float = 10.0
    """VPA's overruns, decayed, up to which they are rare: too few to compare counts by."""
    bank_close_weight: float = 0.3
    bank_close_count: float = 5.0
    """While credit is built, what usage within that headroom counts, in overruns, and how many of VPA's halve it."""
    bank_slack_weight: float = 0.25
    """And what slack of one mean usage counts, in VPA's overruns."""
    overrun_minutes: int = 3
    """Minutes (or samples, where there are fewer) in a row above its level after which an arm is left."""
    credit_half_life: float = 3 * DAY
    """Seconds in which credit counts half."""
    credit_share: float = 0.9
    """Share of VPA's overruns that is taken as credit."""
    bank_reserve: float = 1.0
    """Overruns that are never spent."""
    bank_reserve_noise: float = 0.3
    """And this many square roots of VPA's: what chance makes of a count."""
    rate_gain: float = 1.0
    """A day: how fast a declared overrun rate corrects itself, in log risk for each rate too much."""
    equal_slack: bool = False
    """Fewest overruns at VPA's slack, instead of least slack at VPA's overruns."""
    memory_margin: float = 1.05
    """Factor on the largest memory peak of eight days, for a container whose daily peaks are all the same."""
    memory_margin_spread: float = 0.2
    """What is added to it for each standard deviation of the logarithm of the daily peaks."""
    memory_margin_most: float = 1.15
    """The largest such factor, VPA's margin; also while less is known than `memory_days`."""
    memory_days: int = 3
    """Days with a peak before the margin is learned."""
    memory_hold: float = 0.07
    """Share by which the memory level has to fall to be moved down."""
    doubted_share: float = 0.02
    """Usage below this share of the least seen lately is doubted: its unit may have changed."""
    doubted_latency: float = 0.004
    """The same share of the least latency seen lately: load changes latency by more than it changes usage, units by
    a thousand."""
    rests: int = 3
    """A usage of exactly 0 is doubted until a container came back from it so often: then it rests at times."""
    doubted_seconds: float = 6 * HOUR
    """Seconds for which it is doubted."""

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

    useless_growth: float = 2.0
    """Factor by which a limit has to have grown without any effect before the raises count as useless (RULES 8)."""
    restart_hold: float = DAY
    """Seconds without a raise against throttling after that; a change of the template ends it."""

    # Telling
    recommend_every: float = HOUR
    """Seconds between two recommendations of one lever of one thing, where nothing may be moved."""

    # Coming and going
    away_seconds: float = HOUR
    """Seconds for which what was learned of a workload is kept while it is not seen."""

    # Replicas
    tolerance: float = 0.1
    """Relative change of the wanted count that is ignored, as in HPA v2."""
    service_half_life: float = 900.0
    """Seconds; half-life of the learned CPU cost of a request (15 min of Σ busy/Σ done)."""
    service_samples: float = 10.0
    """Decayed number of samples before that cost is used."""
    capacity_growth: float = 0.10
    """A learned rate of one pod is trusted this much less every day, so that it is tried again."""
    startup_seconds: float = 60.0
    """Seconds assumed until a pod of the workload was seen to start."""
    metric_delay: float = 45.0
    """Seconds from a load to the middle of the sample that shows it: half of a one-minute rate, half of a scrape."""
    load_shortfall: float = 0.003
    """Share of the load, on average, that may find no capacity when pods become ready: the margin follows from it."""
    load_shortfall_raise: float = 0.007
    """The same share from which on pods are added; they then suffice for `load_shortfall`."""
    load_hold: float = 0.25
    """Parts of the look-ahead for which the largest forecast counts."""
    load_half_life: float = HOUR
    """Seconds; half-life of the autoregression."""
    load_ridge: float = 0.5
    """Weight against features of 0.1: about 50 slots of evidence."""
    load_step: float = 0.3
    load_step_up: float = 0.6
    """Bounds of the autoregression's log change, downwards and upwards."""
    trend_sigmas: float = 4.0
    """Standard errors by which a trend must rise to count."""
    trend_gain: float = 0.3
    """Trust that a trend starts with: it is dropped when it lost as much more than it saved."""
    trend_asymmetry: float = 0.8
    """Weight of too little load expected against too much, 1 together."""
    error_half_life: float = 6 * HOUR
    """Seconds; half-life of what is known of the forecast's errors."""
    error_prior: float = 20.0
    """Errors assumed beside those seen: some that are rarer than what was seen so far."""
    error_spread: float = 0.12
    error_lead: float = 90.0
    """Standard deviation of the errors of a new workload at a look-ahead of so many seconds; it grows with its root."""
    error_tail: float = 0.3
    error_stretch: float = 2.0
    """Part of the assumed errors that has a heavier tail, and its scale in standard deviations."""
    error_young: float = 60.0
    young_least: float = 0.8
    """Until so many errors are known, the margin takes the utilisation down to this part of the wish, no further."""
    carry_most: float = 0.94
    """Share of its CPU that a pod is never planned beyond."""
    carry_top: float = 1.02
    """Highest share before the margin: what a pod carries is measured over a minute, and seconds have room."""
    carry_margin: float = 0.20
    """Margin of a calm load: what a pod is first trusted with is the wish and this much more."""
    carry_shown: float = 0.65
    """Part of that share that pods must work at for it to rise: idle pods prove nothing."""
    carry_worked: float = 0.85
    carry_slack: float = 0.05
    """Pods say something about what they carry from this part of what is planned on, up to this much more than it."""
    carry_least: float = 0.5
    """Lowest part that latency alone may lower it to, of where it starts: latency is a bounded trim."""
    carry_first_rise: float = 0.015
    carry_rise: float = 0.005
    carry_fall: float = 0.025
    """Steps of that share, by fresh latency sample; the first until latency came near the target (a slow start)."""
    carry_room: float = 0.55
    """Part of its target that a latency must be below for the share to rise: then p95 means under 1% past it."""
    carry_near: float = 0.75
    """Part of its target above which the share falls."""
    raise_tolerance: float = 0.02
    """Relative rise of the wanted count, at `load_shortfall_raise`, that is ignored."""
    lower_excess: float = 30.0
    lower_drift: float = 0.05
    """A fall counts when the share of the replicas beyond the drift, summed over seconds, reaches this: a quarter too
    many for 150 s, a tenth for 600 s (a CUSUM, Page 1954)."""
    calm_seconds: float = 60.0
    cpu_calm_seconds: float = 300.0
    """Stabilisation window of a fall where none is set: of the forecast, which has its own hold, and of CPU use."""
    small_load: float = 0.5
    """Pods' worth of load below which errors of the forecast are not learned from: one pod carries it anyway."""
    offered_beyond: float = 1.05
    """Load over what pods can do from which on the arrival rate itself says how much they lack."""
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

    # Bridge over a surge
    bridge_seconds: float = 600.0
    """Seconds after which lent CPU is taken back in any case: twice the slowest usual start-up, with its retries. 0
    lends nothing."""
    bridge_rest: float = 300.0
    """Seconds without a new loan after one that ran out: its new pods did not come, so another would not bridge."""
    bridge_hold: float = 45.0
    """Seconds for which a loan that grew does not shrink: the window and the delay of the rates it was made from."""
    bridge_least: float = 0.10
    """Share of a limit below which lending more, or taking a part back, is not worth the writes."""
    bridge_free_share: float = 0.5
    """Share of what a node has free that may be lent: the rest is for the pods that are to come."""

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
    trial_requests: float = 30.0
    """Requests that a trial's pod has to answer in its length: of fewer a mean says nothing, so none is started."""
    trial_skip: float = 0.25
    """Share of the trial dropped as warm-up."""
    trial_gain: float = 0.02
    """Smallest gain that is worth a roll."""
    trial_load: float = 0.7
    """Share of the load at a trial's start below which nothing is compared: in idle pods small batches win."""
    trial_load_gone: float = 0.5
    """Share of that load below which the trial ends at once: savings wait for it, and it can't be judged any more."""
    trial_inflation: float = 1.3
    """Factor on the variance for autocorrelation."""
    trial_sigmas: float = 2.0
    """Width of the bound in standard errors."""
    trial_sigmas_again: float = 2.3
    """The same at the second and third look of a trial that went on because it looked better (Pocock 1977: 2.29)."""
    trial_abort: float = 1.5
    trial_abort_cold: float = 3.0
    """A trial pod past this many times the target, while the others meet it, ends the trial (cold: in warm-up)."""
    knob_rest: float = 2.0
    """Rest after a failed trial, in lengths of a trial, times min(4, failures): 4 epochs of 5 min at its default."""
    knob_rest_max: float = DAY
    """Longest rest: a knob at its optimum is looked at once a day."""
    trial_start_seconds: float = 900.0
    """Seconds for a trial pod to become ready."""

    # Costs
    cost_gap: float = 120.0
    """Longest time in seconds that one measurement of cost stands for."""
    cost_blocks: float = 24.0
    """Hours of baseline, and hours since the first move, before savings are told: one day of both."""
    cost_inflation: float = 3.0
    """Factor on the variance of hourly blocks: (1 + ρ)/(1 − ρ) at an autocorrelation ρ of 0.5 from hour to hour."""
    cost_sigmas: float = 1.96
    """Half width of the interval in standard errors: 95%."""
    savings_half_life: float = 7 * DAY
    """Seconds in which an hour since the first move loses half of its weight."""

    # Built-in alerts
    oom_alert_seconds: float = 900.0
    """Seconds for which an OOM kill is alerted."""
    leak_slot_seconds: float = 900.0
    """Length of one of the 20 slots over which the floor of memory is watched: five hours in all."""
    leak_growth: float = 0.10
    leak_bytes: float = 32 * MIB
    """Growth of the floor over the slots, relative and in bytes, below which it is no leak."""

    def digest(self) -> str:
        """Twelve hexadecimal digits that differ whenever a constant does."""
        text = ";".join(f"{name}={value!r}" for name, value in sorted(asdict(self).items()))
        return hashlib.sha256(text.encode()).hexdigest()[:12]
