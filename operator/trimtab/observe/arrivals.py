"""The arrival rate behind a latency metric: requests a second, from the same series (Little's law needs it).

A histogram counts what it measures: the quantile of `x_bucket` has its requests in `x_count`, a mean
`rate(x_sum) / rate(x_count)` has them below the line.
"""

from collections.abc import Iterator

import promql_parser as pp

from trimtab.observe.companions import QUANTILES, RATES
from trimtab.observe.errors import PromQLError
from trimtab.observe.presets import Preset, PresetKind
from trimtab.observe.promql import Query, parse
from trimtab.observe.selectors import Selector, duration, seconds
from trimtab.observe.tree import children, fixed_moment

REQUEST_UNITS = frozenset({"requests/second", "requests/s", "request/s", "req/s", "rps"})


def arrival_query(query: Query) -> Query | None:
    """PromQL of the requests a second that a declared latency query rests on.

    None where it cannot be told: no histogram in it, or several different ones.
    """
    found = dict.fromkeys(_rates(query.tree))
    if len(found) != 1:
        return None
    try:
        return parse(next(iter(found)))
    except PromQLError:
        return None


def arrival_preset(preset: Preset) -> Preset | None:
    """The preset of the requests a second that a latency preset rests on; None where it cannot be told."""
    if preset.kind is PresetKind.QUANTILE:
        counter = f"{preset.metric}_count"
    elif preset.kind is PresetKind.RATIO and len(preset.denominator) == 1 and preset.denominator[0].endswith("_count"):
        counter = preset.denominator[0]
    else:
        return None
    return Preset(
        name=preset.name,
        title="Requests a second",
        unit="requests/second",
        better="Higher",
        source=preset.source,
        kind=PresetKind.RATE,
        metric=counter,
        matchers=preset.matchers,
        window_seconds=preset.window_seconds,
    )


def _rates(node: pp.Expr) -> Iterator[str]:
    if isinstance(node, pp.Call) and node.func.name in QUANTILES:
        yield from _counts(node.args[-1], histogram=True)
        return
    if isinstance(node, pp.BinaryExpr) and str(node.op) == "/":
        below = list(_counts(node.rhs, histogram=False))
        if below:
            yield from below
            return
    for child in children(node):
        yield from _rates(child)


def _counts(node: pp.Expr, *, histogram: bool) -> Iterator[str]:
    """Requests a second of each counter below a node that counts requests."""
    if isinstance(node, pp.SubqueryExpr):
        return
    if isinstance(node, pp.Call) and node.func.name in RATES and isinstance(node.args[0], pp.MatrixSelector):
        text = _count(node.args[0], histogram=histogram)
        if text:
            yield text
        return
    for child in children(node):
        yield from _counts(child, histogram=histogram)


def _count(matrix: pp.MatrixSelector, *, histogram: bool) -> str:
    selector = matrix.vector_selector
    read = Selector.of(selector)
    if fixed_moment(selector) is not None or read.name is None:
        return ""
    window = duration(seconds(matrix.range))
    offset = f" offset {duration(seconds(selector.offset))}" if selector.offset else ""
    if histogram and read.name.endswith("_bucket"):
        groups = tuple(tuple(triple for triple in group if triple[0] != "le") for group in read.groups)
        return f"sum(rate({Selector(read.name.removesuffix('_bucket') + '_count', groups)}[{window}]{offset}))"
    if histogram:
        return f"sum(histogram_count(rate({read}[{window}]{offset})))"
    return f"sum(rate({read}[{window}]{offset}))" if read.name.endswith("_count") else ""
