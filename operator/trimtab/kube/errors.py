"""What can go wrong with a request to the API server, as types.

Every failure of `trimtab.kube` is a `KubeError`. Callers choose by type, never by message. The fields come
from the API's `Status` object; where the answer carried none, from the HTTP status.
"""

# The names are the API's own reasons (metav1.StatusReason), so none ends in Error:
# ruff: noqa: N818

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MAX_MESSAGE = 512
"""Characters kept of a server's message: an admission message can quote a whole object."""

MAX_CAUSES = 32

_MANAGER = re.compile(r'conflict with "([^"]*)"')


@dataclass(frozen=True, slots=True)
class Cause:
    """One entry of `Status.details.causes`."""

    reason: str = ""
    message: str = ""
    field: str = ""


class KubeError(Exception):
    """A request failed.

    `status` is the HTTP status, 0 when no answer came; `request` says which request, as "PATCH /api/…".
    """

    def __init__(
        self,
        status: int,
        reason: str,
        message: str = "",
        causes: Sequence[Cause] = (),
        *,
        request: str = "",
        retry_after: float | None = None,
    ) -> None:
        self.status = status
        self.reason = reason
        self.message = trim(message)
        self.causes = tuple(causes[:MAX_CAUSES])
        self.request = request
        self.retry_after = retry_after
        """Seconds the server asks to wait before the next try, None when it did not say."""
        super().__init__(status, reason, self.message)

    def __str__(self) -> str:
        code = f"{self.status} {self.reason}".strip() if self.status else self.reason
        return ": ".join(part for part in (self.request, code, self.message) if part)

    @property
    def node_capacity(self) -> bool:
        """True for a resize that is larger than the pod's node (403, cause NodeCapacity)."""
        return self.status == 403 and any(cause.reason == "NodeCapacity" for cause in self.causes)

    @property
    def disruption_budget(self) -> bool:
        """True for an eviction that a PodDisruptionBudget refuses now (429, cause DisruptionBudget)."""
        return self.status == 429 and any(cause.reason == "DisruptionBudget" for cause in self.causes)

    @property
    def conflicting_managers(self) -> tuple[str, ...]:
        """Field managers that a server-side apply collided with, each once, as the server names them."""
        found = (
            match.group(1)
            for cause in self.causes
            if cause.reason == "FieldManagerConflict" and (match := _MANAGER.search(cause.message))
        )
        return tuple(dict.fromkeys(found))


class BadRequest(KubeError):
    """400: the server does not understand the request."""


class Unauthorized(KubeError):
    """401: the credentials are missing, expired or revoked."""


class Forbidden(KubeError):
    """403: RBAC or an admission plugin refuses. See also `node_capacity`."""


class NotFound(KubeError):
    """404: no such object, or no such resource."""


class NotServed(NotFound):
    """The API server serves no such kind: its CRD is not installed, or its name is wrong."""


class Conflict(KubeError):
    """409: the object changed since it was read, or (server-side apply) another manager owns a field."""


class AlreadyExists(KubeError):
    """409 on create: the name is taken."""


class Gone(KubeError):
    """410: the resourceVersion or continue token is too old. List again."""


class Invalid(KubeError):
    """422: the object or the request's options do not validate."""


class TooManyRequests(KubeError):
    """429: the server sheds load (wait `retry_after`), or an eviction would break a PodDisruptionBudget."""


class Unavailable(KubeError):
    """No usable answer: 5xx, connection refused or lost, timeout, unreadable body.

    A write that ends so may have been applied all the same: read before writing again.
    """


_BY_STATUS: dict[int, type[KubeError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    408: Unavailable,
    409: Conflict,
    410: Gone,
    422: Invalid,
    429: TooManyRequests,
}


def trim(message: str, limit: int = MAX_MESSAGE) -> str:
    """One printable line of at most `limit` characters."""
    # Cut before and after: joining is linear, but there is no need to walk a message of megabytes.
    line = " ".join(message[: 4 * limit].split())
    line = "".join(char if char.isprintable() else "?" for char in line)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def from_status(
    status: Mapping[str, Any],
    http_status: int = 0,
    *,
    request: str = "",
    retry_after: float | None = None,
) -> KubeError:
    """Build the typed error for a `Status` object. Malformed fields are left empty, never raised on.

    `http_status` wins over `status.code`: a proxy may answer with a body of its own.
    """
    code = http_status or _integer(status.get("code"))
    reason = _text(status.get("reason"))
    details = status.get("details")
    details = details if isinstance(details, Mapping) else {}
    raw_causes = details.get("causes")
    causes = [
        Cause(_text(raw.get("reason")), trim(_text(raw.get("message"))), _text(raw.get("field")))
        for raw in (raw_causes if isinstance(raw_causes, list) else [])[:MAX_CAUSES]
        if isinstance(raw, Mapping)
    ]
    if retry_after is None and (seconds := _integer(details.get("retryAfterSeconds"))) > 0:
        retry_after = float(seconds)
    kind = _BY_STATUS.get(code, Unavailable if code >= 500 or code == 0 else KubeError)
    # Two meanings share 409; an expired watch comes as 410 or only as its reason.
    if code == 409 and reason == "AlreadyExists":
        kind = AlreadyExists
    elif reason in ("Expired", "Gone"):
        kind = Gone
    message = _text(status.get("message"))
    return kind(code, reason, message, causes, request=request, retry_after=retry_after)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _integer(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
