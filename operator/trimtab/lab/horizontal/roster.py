"""Which policies there are, and what each needs."""

from collections.abc import Sequence
from functools import partial
from importlib import import_module, util

from trimtab.lab.horizontal.rivals import HPA_TARGETS, Hpa, Keda, Static
from trimtab.lab.horizontal.run import PolicyMaker

HPAS = tuple(f"hpa-{target}" for target in HPA_TARGETS)
HPA_BEST = "hpa-best"
"""The HPA target that hindsight picks for each case."""
ORACLE = "oracle"
YARDSTICK = "hpa-70"
"""What totals are given relative to."""
OWN = "trimtab"


def _own() -> dict[str, PolicyMaker]:
    """Trimtab's policy, where this installation has it."""
    if util.find_spec("trimtab.lab.horizontal.trimtab") is None:
        return {}
    return {OWN: import_module("trimtab.lab.horizontal.trimtab").make}


MAKERS: dict[str, PolicyMaker] = {
    **_own(),
    **{name: partial(Hpa, target=target) for name, target in zip(HPAS, HPA_TARGETS, strict=True)},
    "keda-rps": Keda,
    "static-peak": Static,
}
"""What is simulated tick by tick, by name."""
POLICIES = (*MAKERS, HPA_BEST, ORACLE)
"""All names, in the order of the table."""


def needed(names: Sequence[str]) -> tuple[str, ...]:
    """What has to be simulated to show these policies: hpa-best needs every HPA, the totals the yardstick."""
    wanted = {*names, YARDSTICK, ORACLE}
    if HPA_BEST in wanted:
        wanted.update(HPAS)
    return tuple(name for name in POLICIES if name in wanted and name != HPA_BEST)
