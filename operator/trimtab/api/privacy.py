"""No personal data where people and machines read: status, events, logs, reports.

Values of labels are shown only for the labels that the administrator lists; e-mail addresses, credentials and what
looks like one are replaced wherever they stand. Texts come from elsewhere (a server's refusal, a field manager, a
parser that quotes a query), so they are cleaned where they leave, not where they arise.
"""

import re
from dataclasses import dataclass, field
from typing import Any

DEFAULT_LABELS = (
    "namespace",
    "exported_namespace",
    "destination_workload_namespace",
    "kubernetes_namespace",
    "pod",
    "exported_pod",
    "container",
    "exported_container",
    "node",
    "deployment",
    "statefulset",
    "daemonset",
    "workload",
    "job",
    "le",
    "quantile",
    "code",
    "persistentvolumeclaim",
)
"""Labels that name what Kubernetes names, and numbers: their values are shown."""

_LABEL = re.compile(r'\b([A-Za-z_][A-Za-z0-9_]*)(\s*(?:=~|!~|!=|=)\s*)(\\?["\'`])(.*?)\3')
_EMAIL = re.compile(r"[A-Za-z0-9._%+'-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+")
_USERINFO = re.compile(r"(?<=://)[^\s/@]{1,512}@")
_SCHEME = re.compile(r"\b(Bearer|Basic|Negotiate)\s+[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE)
_SECRET = re.compile(
    r"(?P<name>\b[\w-]*(?:token|password|passwd|secret|api[_-]?key|access[_-]?key|credential)s?\b\\?[\"']?\s*[=:]\s*\\?[\"']?)"
    r"[^\s\"'\\,;&)}\]]{4,}",
    re.IGNORECASE,
)
_TOKEN = re.compile(
    r"eyJ[\w-]{6,}\.[\w-]+(?:\.[\w-]*)?"  # JSON web tokens
    r"|\b(?:gh[pousr]_|github_pat_|glpat-|xox[abposr]-|sk-|hf_|npm_|dop_v1_)[\w-]{10,}"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|(?<![A-Za-z0-9+/_])(?=[A-Za-z+/_]*[0-9])(?=[a-z0-9+/_]*[A-Z])(?=[A-Z0-9+/_]*[a-z])[A-Za-z0-9+/_]{40,}={0,2}"
    r"|\b[0-9a-f]{40,}\b"
)
TEXTS = frozenset({"message", "predicted", "outcomeMessage", "summary", "problems"})
"""Fields of a status that hold free text; the others are names, numbers and times of fixed forms."""


@dataclass(frozen=True, slots=True)
class Privacy:
    """What may be shown."""

    labels: frozenset[str] = field(default=frozenset(DEFAULT_LABELS))
    """Names of labels whose values are shown."""

    def clean(self, text: str) -> str:
        """The text without values of other labels, e-mail addresses and credentials."""
        if "=" in text:
            text = _LABEL.sub(self._label, text)
        if "@" in text:
            text = _EMAIL.sub("[e-mail]", _USERINFO.sub("[redacted]@", text))
        text = _SCHEME.sub(r"\1 [redacted]", text)
        text = _SECRET.sub(r"\g<name>[redacted]", text)
        return _TOKEN.sub("[redacted]", text)

    def _label(self, match: re.Match[str]) -> str:
        name, operator, quote = match[1], match[2], match[3]
        return match[0] if name in self.labels else f"{name}{operator}{quote}…{quote}"

    def cleaned(self, value: Any, *, texts: frozenset[str] | None = None) -> Any:
        """Plain JSON values with every text cleaned; with `texts`, only what stands under these fields."""
        if isinstance(value, str):
            return self.clean(value) if texts is None else value
        if isinstance(value, list):
            return [self.cleaned(item, texts=texts) for item in value]
        if isinstance(value, dict):
            return {
                key: self.cleaned(item, texts=None if texts is None or key in texts else texts)
                for key, item in value.items()
            }
        return value
