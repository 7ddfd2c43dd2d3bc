"""Settings of the operator itself: what the administrator says in the chart's values, mounted as one YAML file."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from trimtab.api.datasource import Datasource
from trimtab.api.privacy import DEFAULT_LABELS


class SettingsError(ValueError):
    """The settings file can't be used; the message says where and what to do."""


class SettingsModel(BaseModel):
    """Base: camelCase in the file, unknown keys are errors (a typo must not be silent)."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class Mode(StrEnum):
    """How far the whole operator goes, whatever the resources say."""

    OBSERVE = "Observe"
    RECOMMEND = "Recommend"
    ACT = "Act"


class LeaseSettings(SettingsModel):
    """Leader election: seconds as in client-go (15/10/2)."""

    name: str = "trimtab"
    duration_seconds: Annotated[float, Field(gt=0)] = 15.0
    renew_seconds: Annotated[float, Field(gt=0)] = 10.0
    retry_seconds: Annotated[float, Field(gt=0)] = 2.0

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if not self.duration_seconds > self.renew_seconds > 1.2 * self.retry_seconds:
            raise ValueError(
                "durationSeconds must be above renewSeconds, and that above 1.2 times retrySeconds, or two may lead;"
                " the usual set is 15, 10 and 2"
            )
        return self


class StaticPrices(SettingsModel):
    """Prices an hour, used where OpenCost's are missing and to tell a price that can't be right.

    The defaults are OpenCost's own for a cluster without a cloud (opencost/opencost, configs/default.json).
    """

    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "USD"
    """ISO 4217 code; OpenCost's metrics are taken to be in it too."""
    cpu_hour: Annotated[float, Field(ge=0)] = 0.031611
    """One core."""
    memory_gib_hour: Annotated[float, Field(ge=0)] = 0.004237
    """One GiB of memory."""
    gpu_hour: Annotated[float, Field(ge=0)] = 0.95
    """One GPU."""
    storage_gib_hour: Annotated[float, Field(ge=0)] = 0.00005479
    """One GiB of a PersistentVolumeClaim."""


class PrivacySettings(SettingsModel):
    """What may be shown in status, events, logs and reports (api/privacy.py)."""

    labels: list[Annotated[str, Field(pattern="^[A-Za-z_][A-Za-z0-9_]*$")]] = list(DEFAULT_LABELS)
    """Labels whose values are shown; those of all others are left out."""


class OperatorSettings(SettingsModel):
    """Everything that is set once an operator, with safe defaults."""

    mode: Mode = Mode.ACT
    """Observe: measure and alert. Recommend: also decide, write nothing to workloads. Act: move."""
    tick_seconds: Annotated[float, Field(ge=1, le=300)] = 15.0
    """Length of one walk observe → decide → act → record."""
    checkpoint_seconds: Annotated[float, Field(ge=10, le=86_400)] = 600.0
    """Time between two checkpoints of one workload; longer where that would be more than 4 a second over the fleet."""
    namespaces: list[str] = []
    """Namespaces to serve; empty: all."""
    datasources: list[Datasource] = []
    """Prometheus servers that resources may name."""
    presets_dir: Path | None = None
    """Folder with the administrator's presets; they override ours by name."""
    env_allow_list: list[str] = []
    """Variables that a knob may set though the template does not set them to a plain integer."""
    knobs_enabled: bool = True
    """Whether pods may be created and evicted for knob trials."""
    admission_policy_enabled: bool = True
    """Whether the chart installed the admission policy that shapes new pods."""
    max_changes_per_minute: Annotated[int, Field(ge=1)] = 60
    """Moves a minute over the whole fleet."""
    rollback_stop_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    """The fleet stops when more than this share of the last moves was rolled back."""
    writes_per_second: Annotated[float, Field(gt=0)] = 50.0
    """Writes a second to the API server, by priority."""
    prices: StaticPrices = StaticPrices()
    """Static prices."""
    privacy: PrivacySettings = PrivacySettings()
    """What may be shown."""
    lease: LeaseSettings = LeaseSettings()
    """Leader election."""
    port: Annotated[int, Field(ge=1, le=65535)] = 8080
    """Port of /healthz, /readyz and /metrics."""
    log_format: Annotated[str, Field(pattern="^(json|text)$")] = "json"
    """json for machines, text for people."""

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        names = [one.name for one in self.datasources]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two datasources are called {', '.join(twice)}; rename one of them")
        return self


def load_settings(path: Path | None) -> OperatorSettings:
    """The settings in a YAML file; the defaults when there is none.

    Raises:
        SettingsError: the file can't be read, is no YAML, or has wrong values.
    """
    if path is None:
        return OperatorSettings()
    try:
        raw = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"{path}: not readable as YAML ({error}); mount the chart's settings file") from error
    try:
        return OperatorSettings.model_validate(raw if raw is not None else {})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "settings"
        said = first["msg"].removeprefix("Value error, ")
        raise SettingsError(f"{path}: {where}: {said}; correct it in the chart's values") from error
