"""Rationing of changes: a bucket of tokens, and a band that grows as it empties.

A raise passes a narrower band than a cut: an overrun costs more than some slack, and every cut has to be paid for by a
raise later.
"""

import numpy as np

from trimtab.decide.columns import B1, F8
from trimtab.decide.estimator.table import F4
from trimtab.decide.settings import Settings


def move(level: F4, tokens: F4, wanted: F4, passed: F8, settings: Settings, always: B1 | bool = False) -> None:
    """Let levels follow what is wanted where the ration allows it, in place; `always`: whatever it allows.

    `passed` (seconds) has the shape of a column of `level`, or broadcasts to it.
    """
    cap = np.float32(settings.hold_tokens)
    tokens += (np.clip(passed, 0.0, 3600.0) * settings.hold_changes / 86400.0).astype(np.float32)
    np.minimum(tokens, cap, out=tokens)
    short = np.clip(1 - tokens / cap, 0.0, 1.5) ** 1.5
    change = wanted / level - 1
    up = change > settings.hold_up + settings.hold_up_short * short
    down = change < -(settings.hold_down + settings.hold_down_short * short)
    moves = np.isnan(level) | ((up | down) & (tokens > -cap / 2)) | (always & (wanted != level))
    moves &= np.isfinite(wanted)
    np.copyto(level, wanted, where=moves)
    tokens -= moves
