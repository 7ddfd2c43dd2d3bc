"""Who else moves what we move: people, whose choice is respected, and managers that set our values back (RULES 9, 14).

Pure: fed with what was seen and when, keeps what it needs to remember, asks nobody.
"""

import re
from collections import deque
from dataclasses import dataclass, field

from trimtab.decide.observation import Lever

OURS = "trimtab"
WAR_SECONDS = 600.0
"""Two reverts within this long are a war."""
TRUCE_SECONDS = 3600.0
"""Hands off for this long, unless the spec changes before."""

# Tools with which a person sets a value by hand. `kubectl apply` and `create` deploy a manifest: no such choice.
_BY_HAND = re.compile(r"^(kubectl(-(edit|patch|scale|set|replace))?|k9s|lens|freelens|headlamp|octant|mozilla)$", re.I)
# Client-go programs that call themselves by what they are.
_CONTROLLER = re.compile(
    r"(controller|operator|manager|autoscaler|keda|argo|flux|helm|kustomize|terraform|pulumi|ansible|spinnaker|knative)",
    re.I,
)


def is_person(manager: str, operation: str) -> bool:
    """Whether a field manager is a person's tool, by its name and by how it wrote.

    By hand: `kubectl scale`, `edit`, `patch` and the usual consoles, and any program that is no known controller and
    wrote through the scale subresource. Not by hand: Helm, Argo CD, Flux and `kubectl apply`: they write what a
    file says at each deploy, and holding that would keep a fresh deploy at its smallest size.
    """
    if not manager or manager == OURS or operation == "Apply":
        return False
    if _BY_HAND.match(manager):
        return True
    return operation == "scale" and not _CONTROLLER.search(manager)


@dataclass(frozen=True, slots=True)
class Hold:
    """A replica count that a person chose."""

    until: float
    """Unix time until which it is left alone."""
    manager: str
    value: int
    fresh: bool
    """Seen for the first time: an event is due."""


@dataclass(frozen=True, slots=True)
class _Choice:
    value: int
    manager: str
    operation: str
    since: float


class HumanHolds:
    """Remembers what people chose and since when: the API server does not always say."""

    def __init__(self) -> None:
        self._choices: dict[str, _Choice] = {}

    def seen(
        self, key: str, *, value: int, manager: str, operation: str, written: float, hold_seconds: float, now: float
    ) -> Hold | None:
        """The hold that the last writer of spec.replicas calls for, None when there is none.

        `written` is when that was, Unix seconds, 0 when it is not known: then it counts from when it was first seen.
        """
        if not is_person(manager, operation):
            self._choices.pop(key, None)
            return None
        known = self._choices.get(key)
        fresh = known is None or (known.value, known.manager, known.operation) != (value, manager, operation)
        if known is None or fresh:
            known = _Choice(value, manager, operation, min(written, now) if written > 0 else now)
            self._choices[key] = known
        until = known.since + hold_seconds
        return Hold(until, manager, value, fresh) if now < until else None

    def forget(self, keep: set[str]) -> None:
        """Drop resources that are gone."""
        self._choices = {key: choice for key, choice in self._choices.items() if key in keep}


@dataclass(frozen=True, slots=True)
class War:
    """Another manager that undoes our moves of one lever."""

    manager: str
    since: float
    until: float


@dataclass(slots=True)
class _Front:
    """What is known of one lever (of one subject) of one resource."""

    ours: float | None = None
    """The value we wrote last, None before."""
    standing: bool = False
    """Whether that value was not yet seen to be undone."""
    behind: int = 0
    """Revision before we wrote: what is seen of it, or of one before, is older than our value."""
    revision: int = 0
    """Revision last seen."""
    generation: int = 0
    reverts: deque[tuple[float, str]] = field(default_factory=lambda: deque(maxlen=2))
    war: War | None = None


class RevertWatch:
    """Finds managers that set our values back: twice in ten minutes is a war, and ours to leave.

    A revert is counted once for each value that we wrote: until we write again there is nothing to undo.
    """

    def __init__(self, war_seconds: float = WAR_SECONDS, truce_seconds: float = TRUCE_SECONDS) -> None:
        self._war_seconds, self._truce_seconds = war_seconds, truce_seconds
        self._fronts: dict[str, dict[tuple[Lever, str], _Front]] = {}

    def wrote(self, key: str, lever: Lever, value: float, *, revision: int = 0, subject: str = "") -> None:
        """We set this value; `revision` is the object's as last seen before, 0: that of the last sighting."""
        front = self._fronts.setdefault(key, {}).setdefault((lever, subject), _Front())
        front.ours, front.standing, front.behind = value, True, revision or front.revision

    def saw(
        self,
        key: str,
        lever: Lever,
        value: float,
        *,
        manager: str,
        generation: int,
        now: float,
        revision: int = 0,
        subject: str = "",
    ) -> War | None:
        """This value stands, last written by this manager. Gives the war that is on, if any.

        `generation` is that of the PerformanceConfig: a change of its spec ends a war. `revision` grows with each
        write of the object (metadata.generation, or Unix seconds): a mirror that lags shows what stood before our
        write, which nobody set back.
        """
        front = self._fronts.setdefault(key, {}).setdefault((lever, subject), _Front(generation=generation))
        self._settle(front, generation, now)
        if manager == OURS:
            front.ours, front.standing, front.behind = value, True, max(front.behind, revision)
        elif 0 < revision <= front.behind:
            pass
        elif front.standing and front.ours is not None and value != front.ours and manager:
            front.standing = False
            front.reverts.append((now, manager))
            if len(front.reverts) == 2 and now - front.reverts[0][0] <= self._war_seconds:
                front.war = War(manager, now, now + self._truce_seconds)
                front.reverts.clear()
        front.revision = revision
        return front.war

    def wars(self, key: str, generation: int, now: float) -> dict[Lever, War]:
        """Wars that are on over one resource, by lever, the latest of each."""
        found: dict[Lever, War] = {}
        for (lever, _), front in self._fronts.get(key, {}).items():
            self._settle(front, generation, now)
            if front.war is not None and (lever not in found or front.war.since > found[lever].since):
                found[lever] = front.war
        return found

    def forget(self, keep: set[str]) -> None:
        """Drop resources that are gone."""
        self._fronts = {key: fronts for key, fronts in self._fronts.items() if key in keep}

    @staticmethod
    def _settle(front: _Front, generation: int, now: float) -> None:
        """End a war whose time is over, or whose spec was changed."""
        if front.generation != generation:
            front.generation, front.war = generation, None
            front.reverts.clear()
        if front.war is not None and now >= front.war.until:
            front.war = None
