"""What stands beside the figures: what was read from where, and what history can't tell."""

from collections.abc import Sequence

from trimtab.backtest.owners import shown
from trimtab.backtest.reader import NAMES, Past
from trimtab.backtest.replay import CARRIED, MOST_UNKNOWN, Judged, Result
from trimtab.decide.settings import Settings

_GAP = 0.05


def notes(past: Past, result: Result, days: int) -> list[str]:
    """Sentences, a thing each; names and reasons as they may be shown."""
    said = [
        f"{days} days at a step of 5 minutes; scored after a warm-up of 2 days, or a quarter of a shorter recording. A "
        "level covers the busiest pod of a container. Times are UTC. Settings " + Settings().digest() + ".",
        "Overrun: share of samples with usage above the request. For memory under trimtab and vpa the request is taken "
        "as the limit, so that an overrun is an OOM kill.",
        "A month is a month like these days: a workload that was there for a part of the time costs that part.",
        "Trimtab here sizes requests as it does in a cluster; replicas and knobs are not replayed.",
    ]
    if not past.fleet.told:
        said.append(
            "When anything was measured is taken from the containers that were read, as there is no machine_cpu_cores: "
            "time in which none of them ran counts as not measured."
        )
    if len(past.clusters) > 1:
        said.insert(
            0,
            f"This server holds {len(past.clusters)} clusters ({_listed(sorted(past.clusters))}), read here as if they "
            "were one: pods of the same name are one pod. Choose one with --matcher cluster=NAME.",
        )
    said += _sources(past)
    said += _lost(result)
    gaps = sorted((one for one in result.judged if one.gap > _GAP), key=lambda one: -one.gap)
    if gaps:
        said.append(
            f"{len(gaps)} recordings miss more than {_GAP:.0%} of their time ({_worst(gaps[0], gaps[0].gap)}); "
            "gaps are not scored."
        )
    said += [f"Namespace {name} was left out: {why}" for name, why in sorted(past.unread.items())]
    return [shown(one) for one in said]


def _sources(past: Past) -> list[str]:
    said = []
    by_name = [name for name, found in past.sources.items() if found.owners == NAMES]
    if by_name:
        said.append(f"Owners are guessed from pod names (no kube_pod_owner) in: {_listed(by_name)}.")
    for source in sorted({found.requests for found in past.sources.values()} - {""}):
        told = [name for name, found in past.sources.items() if found.requests == source]
        said.append(f"Requests come from {source} in: {_listed(told)}.")
    without = [name for name, found in past.sources.items() if not found.requests]
    if without:
        said.append(f"No request metrics, so nothing is said of today's settings, in: {_listed(without)}.")
    counted = [name for name, found in past.sources.items() if found.kills]
    if counted:
        said.append(
            "OOM kills of today's settings are restarts of any pod after which kube-state-metrics tells OOMKilled as "
            f"the reason, in: {_listed(counted)}."
        )
    if len(counted) < len(past.sources):
        said.append(
            "Where no kube_pod_container_status_last_terminated_reason was found, OOM kills under today's settings are "
            "not known: usage alone does not tell."
        )
    return said


def _lost(result: Result) -> list[str]:
    """Requests that were known and then were not: kube-state-metrics was down, or a pod was never seen by it."""
    hours = f"{CARRIED / 3600:.0f} hours"
    said = []
    partly = sorted((one for one in result.judged if 0 < one.unknown <= MOST_UNKNOWN), key=lambda one: -one.unknown)
    mostly = sorted((one for one in result.judged if MOST_UNKNOWN < one.unknown < 1), key=lambda one: -one.unknown)
    if partly:
        said.append(
            f"For {len(partly)} recordings the request is not known for a part of the time "
            f"({_worst(partly[0], partly[0].unknown)}): a request stands for {hours} at most, and what is left is not "
            "scored for today's settings."
        )
    if mostly:
        said.append(
            f"For {len(mostly)} recordings the request is not known for more than {MOST_UNKNOWN:.0%} of the time "
            f"({_worst(mostly[0], mostly[0].unknown)}), so nothing is said of today's settings; check that "
            "kube-state-metrics ran all the time."
        )
    return said


def _worst(one: Judged, share: float) -> str:
    return f"{one.track.name} {one.usage.resource}: {share:.0%}"


def _listed(names: Sequence[str], most: int = 10) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(sorted(names)[:most]) + more
