"""Who has the CPU that a profile's entry lends: the pods that were there before, never new ones."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from trimtab.api.tuningprofile import Loan
from trimtab.kube.records import PodRecord


@dataclass(frozen=True, slots=True)
class Lent:
    """A container's loan in numbers; no loan by default."""

    cpu: float = 0.0
    """Cores on top of request and limit."""
    before: float = -math.inf
    """Unix time; pods created later do not have it."""
    until: float = 0.0
    """Unix time at which it is taken back at the latest."""

    @classmethod
    def of(cls, loan: Loan | None) -> "Lent":
        """The loan that an entry states."""
        if loan is None or not float(loan.cpu) > 0:
            return NO_LOAN
        return cls(float(loan.cpu), loan.created_before.timestamp(), loan.until.timestamp())

    def reaches(self, pod: PodRecord) -> bool:
        """Whether this pod is one of those that borrow."""
        return self.cpu > 0 and pod.created < self.before


NO_LOAN = Lent()


def borrowers(pods: Iterable[PodRecord], lent: Lent) -> int:
    """Number of ready pods that borrow."""
    return sum(1 for pod in pods if pod.ready and lent.reaches(pod))
