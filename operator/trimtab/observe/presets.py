"""Presets: ready-made measurements as data, ours in ``presets/*.yaml``, an administrator's in a mounted folder."""

from collections.abc import Mapping
from enum import StrEnum
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from trimtab.api.monitoring import Better
from trimtab.observe.errors import PresetError, PromQLError
from trimtab.observe.promql import parse
from trimtab.observe.selectors import METRIC_NAME, Triple, duration, written

MAX_FILE_BYTES = 64 << 10
MetricName = Annotated[str, Field(max_length=256, pattern=METRIC_NAME.pattern)]
StatusName = Literal[
    "queryLatency", "retrievalLatency", "generationLatency", "totalLatency",
    "memoryUsage", "cpuUsage", "diskUsage", "networkUsage", "apiCosts", "computeCosts", "storageCosts",
]  # fmt: skip


class PresetKind(StrEnum):
    """How the number comes about."""

    QUANTILE = "Quantile"
    """A quantile of a histogram."""
    RATE = "Rate"
    """A counter's increase a second, summed."""
    GAUGE = "Gauge"
    """A gauge, aggregated."""
    RATIO = "Ratio"
    """Rates of some counters over rates of others."""
    QUERY = "Query"
    """PromQL of the preset's own."""


class Aggregate(StrEnum):
    """How gauges of several pods become one number."""

    SUM = "Sum"
    MAX = "Max"
    AVG = "Avg"


_NEEDS: Mapping[PresetKind, tuple[str, ...]] = {
    PresetKind.QUANTILE: ("metric", "quantile"),
    PresetKind.RATE: ("metric",),
    PresetKind.GAUGE: ("metric", "aggregate"),
    PresetKind.RATIO: ("numerator", "denominator"),
    PresetKind.QUERY: ("query",),
}
_SHAPE_FIELDS = frozenset(field for needed in _NEEDS.values() for field in needed)


class Preset(BaseModel):
    """One measurement. Which of the shape fields it needs depends on its kind."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    name: Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
    """Name, as in spec.monitoring.metrics[].preset."""
    title: Annotated[str, Field(min_length=1, max_length=120)]
    """What it measures, for people."""
    unit: Annotated[str, Field(min_length=1, max_length=32)]
    """Unit of the number."""
    better: Better
    """Which way is good."""
    group: StatusName | None = None
    """Field of status.metrics it is shown in, where there is a fitting one."""
    source: Annotated[str, Field(min_length=1, max_length=256)]
    """Where the metric's name and meaning are documented."""
    kind: PresetKind
    """How the number comes about."""
    metric: MetricName | None = None
    """Quantile: histogram without _bucket. Rate: counter. Gauge: gauge."""
    quantile: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Quantile: which one."""
    aggregate: Aggregate | None = None
    """Gauge: how several pods become one number."""
    numerator: Annotated[tuple[MetricName, ...], Field(max_length=8)] = ()
    """Ratio: counters above the line."""
    denominator: Annotated[tuple[MetricName, ...], Field(max_length=8)] = ()
    """Ratio: counters below the line."""
    query: Annotated[str, Field(max_length=4096)] | None = None
    """Query: PromQL, with {{window}} where a duration goes."""
    matchers: Annotated[dict[str, str], Field(max_length=8)] = {}
    """Labels that the series must have, on top of the forced ones; not for Query."""
    window_seconds: Annotated[int, Field(ge=10, le=86_400)] = 120
    """Window of rates."""

    @model_validator(mode="after")
    def _check_shape(self) -> Self:
        needed = _NEEDS[self.kind]
        for field in sorted(_SHAPE_FIELDS):
            given = getattr(self, field) not in {None, ()}
            if given != (field in needed):
                verb = "needs" if field in needed else "can't have"
                raise ValueError(f"a preset of kind {self.kind} {verb} {field}; it takes {', '.join(needed)}")
        if self.kind is PresetKind.QUERY and self.matchers:
            raise ValueError("a preset of kind Query can't have matchers; write them into the query")
        try:
            parse(self.promql())
        except PromQLError as error:
            raise ValueError(str(error)) from error
        return self

    @property
    def by_pod(self) -> bool:
        """Whether it can be asked for a whole namespace at once, by pod."""
        return self.kind is not PresetKind.QUERY

    @property
    def extra(self) -> tuple[Triple, ...]:
        """The preset's own matchers."""
        return tuple((label, "=", value) for label, value in sorted(self.matchers.items()))

    def promql(self, window: float | None = None) -> str:
        """The query for one number, over ``window`` seconds (default: the preset's own), not yet confined."""
        length = duration(self.window_seconds if window is None else window)

        def selector(metric: str) -> str:
            inside = ",".join(written(matcher) for matcher in self.extra)
            return f"{metric}{{{inside}}}" if inside else metric

        def rates(metrics: tuple[str, ...]) -> str:
            return " + ".join(f"sum(rate({selector(metric)}[{length}]))" for metric in metrics)

        match self.kind:
            case PresetKind.QUANTILE:
                buckets = f"rate({selector(f'{self.metric}_bucket')}[{length}])"
                return f"histogram_quantile({self.quantile}, sum by (le) ({buckets}))"
            case PresetKind.RATE:
                return rates((self.metric or "",))
            case PresetKind.GAUGE:
                return f"{(self.aggregate or Aggregate.SUM).lower()}({selector(self.metric or '')})"
            case PresetKind.RATIO:
                return f"({rates(self.numerator)}) / ({rates(self.denominator)})"
            case PresetKind.QUERY:
                return (self.query or "").replace("{{window}}", length)


def load_presets(directory: Path | None = None) -> dict[str, Preset]:
    """All presets by name: ours, then the administrator's, which override ours by name.

    Raises:
        PresetError: a file can't be read or does not hold a valid preset, or two in one folder have one name.
    """
    presets = _folder(resources.files("trimtab.observe") / "presets")
    if directory is not None:
        presets |= _folder(directory)
    return presets


def _folder(folder: Traversable | Path) -> dict[str, Preset]:
    try:
        files = sorted((file for file in folder.iterdir() if file.name.endswith((".yaml", ".yml"))), key=_name)
    except OSError as error:
        raise PresetError(f"{folder}: the folder of presets can't be read; check the mount in the chart.") from error
    presets: dict[str, Preset] = {}
    for file in files:
        preset = _read(file)
        if preset.name in presets:
            raise PresetError(f"{file.name}: another file already has a preset {preset.name}; rename one of them.")
        presets[preset.name] = preset
    return presets


def _name(file: Traversable) -> str:
    return file.name


def _read(file: Traversable) -> Preset:
    try:
        with file.open("rb") as stream:
            raw = stream.read(MAX_FILE_BYTES + 1)
        if len(raw) > MAX_FILE_BYTES:
            raise PresetError(f"{file.name}: longer than {MAX_FILE_BYTES} bytes; put one preset into each file.")
        content = yaml.safe_load(raw)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise PresetError(f"{file.name}: not readable as YAML ({' '.join(str(error).split())}); correct it.") from error
    if not isinstance(content, dict):
        raise PresetError(f"{file.name}: holds no mapping; write one preset with name, title, unit, kind and so on.")
    try:
        return Preset.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "preset"
        raise PresetError(f"{file.name}: {where}: {first['msg']}; correct it.") from error
