"""Which pods a query may see, as one anchored RE2 expression over the pod label."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Self

MAX_EXACT_PODS = 200
MAX_EXACT_BYTES = 16 << 10
# Longest part of a generated name that the API server keeps (apiserver storage/names: 63 - 5 random).
MAX_GENERATED_BASE = 58
# The alphabet of pod-template hashes and generated suffixes (apimachinery util/rand: no vowels, no 0, 1, 3).
_SUFFIX = "[bcdfghjklmnpqrstvwxz2456789]"
_POD_NAME = re.compile(r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")
NO_POD = "-"
"""Matches no pod: no name can be a lone hyphen."""


def _escaped(name: str) -> str:
    """The name as RE2: of what a Kubernetes name may hold, only the dot means something there.

    Raises:
        ValueError: no Kubernetes name.
    """
    if not _POD_NAME.match(name):
        raise ValueError(f"{name!r} is no Kubernetes name; only names as the API server gives them are taken")
    return name.replace(".", r"\.")


@dataclass(frozen=True, slots=True)
class PodMatcher:
    """A set of pods. ``regex`` is anchored by Prometheus; ``title`` says it in short for people."""

    regex: str
    title: str

    @classmethod
    def exact(cls, names: Collection[str]) -> Self:
        """These pods and no others; none at all for an empty collection.

        Raises:
            ValueError: too many for one expression (MAX_EXACT_PODS, MAX_EXACT_BYTES); use ``owner``.
        """
        escaped = sorted({_escaped(name) for name in names})
        regex = "|".join(escaped) or NO_POD
        if len(escaped) > MAX_EXACT_PODS or len(regex) > MAX_EXACT_BYTES:
            raise ValueError(
                f"{len(escaped)} pods are too many to list (at most {MAX_EXACT_PODS}); use PodMatcher.owner"
            )
        return cls(regex, escaped[0].replace("\\", "") if len(escaped) == 1 else f"{len(escaped)} pods")

    @classmethod
    def owner(cls, kind: str, name: str) -> Self:
        """Pods that a workload has, had and will have, by the shape of their names.

        Needed for history, whose pods are gone. A sibling whose name extends this one by a word of the suffix
        alphabet could match too, but never beyond the namespace.

        Raises:
            ValueError: no Kubernetes name.
        """
        base = _escaped(name)
        if kind == "Deployment":
            # pod = (name-hash-)[:58] + 5 random characters
            room = MAX_GENERATED_BASE - len(name) - 1
            if room <= 0:
                regex = f"{_escaped_prefix(name)}{_SUFFIX}{{5}}"
            elif room <= 10:
                regex = f"{base}-{_SUFFIX}{{1,{room}}}-?{_SUFFIX}{{5}}"
            else:
                regex = f"{base}-{_SUFFIX}{{1,10}}-{_SUFFIX}{{5}}"
        elif kind == "StatefulSet":
            regex = f"{base}-[0-9]+"
        elif kind in {"DaemonSet", "ReplicaSet", "ReplicationController", "Job"}:
            hyphen = "-" if len(name) < MAX_GENERATED_BASE else ""
            regex = f"{_escaped_prefix(name)}{hyphen}{_SUFFIX}{{5}}"
        else:
            regex = f"{base}(-[-a-z0-9.]+)?"
        return cls(regex, f"pods of {kind} {name}")

    @classmethod
    def choose(cls, kind: str, name: str, pods: Collection[str], history: bool = False) -> Self:
        """The listed pods for the present, the owner's shape for history or for too many to list."""
        if history or len(pods) > MAX_EXACT_PODS or sum(len(pod) + 2 for pod in pods) > MAX_EXACT_BYTES:
            return cls.owner(kind, name)
        return cls.exact(pods)


def _escaped_prefix(name: str) -> str:
    return _escaped(name)[: len(_escaped(name)) - max(0, len(name) - MAX_GENERATED_BASE)]
