"""When an entry of a TuningProfile holds for a container: while its template is the one it was learned from (RULES 3).

The admission policy checks the same in the API server; observe and act ask here, so that the three agree.
"""

import math
from collections.abc import Mapping

from trimtab.api.quantity import Quantity
from trimtab.api.tuningprofile import ProfileContainer


def same(a: float, b: float) -> bool:
    """Whether two amounts are one; NaN equals NaN. A tenth of a millicore or of a byte is no difference."""
    return (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-4)


def learned_from(
    part: ProfileContainer, requests: tuple[float, float], limits: tuple[float, float], env: Mapping[str, str]
) -> bool:
    """Whether an entry's container was learned from a template with just these values: (CPU, memory), NaN for none."""
    sides = ((part.template_requests, requests), (part.template_limits, limits))
    sizes = all(
        same(_amount(stated, name), value)
        for stated, values in sides
        for name, value in zip(("cpu", "memory"), values, strict=True)
    )
    return sizes and all(part.template_env.get(name) == env.get(name) for name in {*part.env, *part.template_env})


def _amount(stated: Mapping[str, Quantity], name: str) -> float:
    return float(stated[name]) if name in stated else math.nan
