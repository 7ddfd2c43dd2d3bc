"""Numbers as a person on call reads them; used in the messages of decisions."""

import math


def number(value: float) -> str:
    """Three significant digits without an exponent: 0.812, 6.1, 1240."""
    if not math.isfinite(value):
        return "unknown"
    digits = 3 - math.ceil(math.log10(abs(value))) if value else 0
    text = f"{round(value, min(max(digits, 0), 9)):.{min(max(digits, 0), 9)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def amount(value: float, unit: str) -> str:
    """A number and its unit, if it has one: 0.45 s, 450 ms, 12."""
    return f"{number(value)} {unit}" if unit and math.isfinite(value) else number(value)


def cores(value: float) -> str:
    """CPU as a quantity: 250m, 1.5."""
    if not math.isfinite(value):
        return "none"
    return f"{value * 1000:.0f}m" if value < 1 else number(value)


def memory(value: float) -> str:
    """Memory as a binary quantity: 512Mi, 1.5Gi."""
    if not math.isfinite(value):
        return "none"
    return f"{value / 2**20:.0f}Mi" if value < 2**30 else f"{number(value / 2**30)}Gi"


def percent(share: float) -> str:
    """A share as a percentage: 4.2%, 91%."""
    return f"{number(share * 100)}%"


def seconds(value: float) -> str:
    """A duration: 45 s, 5 min, 3 h."""
    if value < 120:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.0f} h"


def change(before: float, after: float) -> str:
    """How much it changed: −12%, +40%."""
    if not (math.isfinite(before) and math.isfinite(after)) or before == 0:
        return "unknown"
    share = after / before - 1
    return f"{'+' if share >= 0 else '−'}{number(abs(share) * 100)}%"
