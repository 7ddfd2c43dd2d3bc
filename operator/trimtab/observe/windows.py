"""Maintenance windows: whether cuts, trials and knob steps are forbidden at an instant (RULES 11)."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from trimtab.api.constraints import Window, WindowEffect

MAX_KNOWN = 20_000


@dataclass(frozen=True, slots=True)
class WindowVerdict:
    """What the windows of one resource say now."""

    closed: bool
    message: str = ""
    """Which window closes it, one sentence; empty while open."""
    invalid: str = ""
    """Which window can't be read and why; empty when all can. Such a window counts as closed."""


@dataclass(frozen=True, slots=True)
class _Openings:
    """The last opening at or before an instant and the first after it; Unix seconds."""

    last: float
    next: float


class Windows:
    """Answers for every resource, remembering each cron expression's openings until the next one.

    An opening is an instant of the time zone's wall clock as cron sees it, so that a window over a change to or from
    summer time opens at its local hour: an hour that is skipped opens when the clock jumps, an hour that comes twice
    opens the first time. From there `durationSeconds` are counted in real seconds.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], _Openings | str] = {}

    def verdict(self, windows: Iterable[Window], now: float) -> WindowVerdict:
        """Closed inside any Deny window, and outside all Allow windows where there are some.

        A window that can't be read counts as closed: the cuts that it might have forbidden wait until it is
        corrected; raises never wait.
        """
        allow_seen = allow_open = False
        denied = invalid = ""
        for window in windows:
            openings = self._openings(window, now)
            if isinstance(openings, str):
                invalid = invalid or openings
                continue
            inside = openings.last <= now < openings.last + window.duration_seconds
            if window.effect is WindowEffect.ALLOW:
                allow_seen, allow_open = True, allow_open or inside
            elif inside:
                denied = denied or f"The Deny window {_named(window)} is open."
        if invalid:
            return WindowVerdict(True, invalid, invalid)
        if denied:
            return WindowVerdict(True, denied)
        if allow_seen and not allow_open:
            return WindowVerdict(True, "No Allow window of disruption.windows is open.")
        return WindowVerdict(False)

    def _openings(self, window: Window, now: float) -> _Openings | str:
        key = (window.cron, window.time_zone)
        known = self._known.get(key)
        if isinstance(known, str) or (known is not None and known.last <= now < known.next):
            return known
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        self._known[key] = found = _look_up(window, now)
        return found


def _look_up(window: Window, now: float) -> _Openings | str:
    try:
        zone = ZoneInfo(window.time_zone)
    except (KeyError, OSError, ValueError):  # unknown names, and names that are folders or paths
        return f"The time zone of the window {_named(window)} is unknown; write an IANA zone such as Europe/Paris."
    if len(window.cron.split()) != 5:
        return f"The window {_named(window)} needs five cron fields, such as 0 9 * * 1-5."
    # cronsim leaves out the instant it starts from, and works in whole seconds.
    moment = datetime.fromtimestamp(math.floor(now), UTC)
    try:
        after = _first(CronSim(window.cron, moment.astimezone(zone)))
        before = _first(CronSim(window.cron, datetime.fromtimestamp(math.floor(now) + 1, UTC).astimezone(zone), True))
    except CronSimError as error:
        return f"The window {_named(window)} can't be read ({error}); write five cron fields such as 0 9 * * 1-5."
    return _Openings(before if before is not None else -math.inf, after if after is not None else math.inf)


def _first(openings: CronSim) -> float | None:
    for opening in openings:
        return float(opening.timestamp())
    return None


def _named(window: Window) -> str:
    return f"{window.cron} {window.time_zone}"
