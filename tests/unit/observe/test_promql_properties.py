"""For any query that is taken: every selector that is sent holds the forced matchers, and the user's own."""

import promql_parser as pp
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.api.datasource import Tenancy, TenancyOverride
from trimtab.observe.errors import PromQLError
from trimtab.observe.podmatcher import PodMatcher
from trimtab.observe.promql import parse
from trimtab.observe.selectors import quoted

TENANCY = Tenancy(overrides=(TenancyOverride(metric_pattern="kube_.*", label="exported_namespace"),))
METRICS = st.sampled_from(["up", "http:requests", "kube_pod_info", "namespace", "or", "sum", "a_bucket"])
LABELS = st.sampled_from(["a", "namespace", "pod", "exported_namespace", "le"])
VALUES = st.one_of(
    st.sampled_from(["", "other", 'x"} or up{b="', "\\", '\\"', "}", "#", "a\nb", "`", "'", "é → 世界", ".*"]),
    st.text(max_size=8),
)
DURATIONS = st.sampled_from(["30s", "5m", "1h", "90s", "1d", "1500ms"])


@st.composite
def matchers(draw: st.DrawFn) -> str:
    op = draw(st.sampled_from(["=", "!=", "=~", "!~"]))
    value = draw(VALUES) if "~" not in op else draw(st.sampled_from([".+", "a|b", "x\\.y", "other"]))
    label = draw(st.one_of(LABELS, st.sampled_from(['"utf 8"', '"a.b"'])))
    return f"{label}{op}{quoted(value)}"


@st.composite
def selectors(draw: st.DrawFn) -> str:
    groups = draw(st.lists(st.lists(matchers(), min_size=1, max_size=3), min_size=0, max_size=3))
    inside = " or ".join(", ".join(group) for group in groups)
    shape = draw(st.integers(0, 3))
    if shape == 0:
        head = f'{{__name__=~".+"{", " if inside else ""}{inside}}}'
    elif shape == 1:
        head = f'{{"utf8.name"{", " if inside else ""}{inside}}}'
    else:
        head = f"{draw(METRICS)}{{{inside}}}"
    return head


def _times(draw: st.DrawFn) -> str:
    return draw(st.sampled_from(["", " offset 5m", " @ end()", " @ start() offset 1h", " @ 1700000000.25"]))


@st.composite
def vectors(draw: st.DrawFn, depth: int = 4) -> str:
    shape = draw(st.integers(0, 9 if depth else 1))
    if shape == 0:
        return draw(selectors()) + _times(draw)
    if shape == 1:
        function = draw(st.sampled_from(["rate", "increase", "max_over_time", "absent_over_time"]))
        return f"{function}({draw(selectors())}[{draw(DURATIONS)}]{_times(draw)})"
    inner = draw(vectors(depth=depth - 1))
    match shape:
        case 2:
            return f"max_over_time(({inner})[{draw(DURATIONS)}:1m]{_times(draw)})"
        case 3:
            by = draw(st.sampled_from(["", " by (a, le)", " without (pod)", ' by ("utf 8")']))
            return f"{draw(st.sampled_from(['sum', 'max', 'count']))}{by} ({inner})"
        case 4:
            op = draw(
                st.sampled_from(["+", "/", "and", "or", "unless", "> bool", "== on (a)", "* on (a) group_left (b)"])
            )
            return f"({inner}) {op} ({draw(vectors(depth=depth - 1))})"
        case 5:
            return f'label_replace({inner}, "a", {quoted(draw(VALUES))}, "b", ".*")'
        case 6:
            return f"histogram_quantile(scalar({inner}), {draw(vectors(depth=depth - 1))})"
        case 7:
            return f"topk(3, {inner}) # comment {draw(st.sampled_from(['}', '(', chr(34)]))}\n"
        case 8:
            return f"-({inner}) ^ 2"
        case _:
            return f"absent({inner})"


def found(text: str) -> list[pp.VectorSelector]:
    nodes: list[pp.VectorSelector] = []

    def note(node: pp.Expr) -> None:
        if isinstance(node, pp.VectorSelector):
            nodes.append(node)

    pp.walk(pp.parse(text), note, None)
    return nodes


def alternatives(node: pp.VectorSelector) -> list[list[tuple[str, str, str]]]:
    rows = node.matchers.or_matchers or [node.matchers.matchers]
    return [[(matcher.name, str(matcher.op), matcher.value) for matcher in row] for row in rows]


@settings(max_examples=300, deadline=None)
@given(vectors(), VALUES.filter(bool), st.booleans())
def test_any_query_that_is_taken_is_confined(text: str, namespace: str, workload: bool) -> None:
    pods = PodMatcher.exact(["web-1", "web-2.x"]) if workload else None
    try:
        query = parse(text)
    except PromQLError:
        return
    try:
        sent = query.confine(TENANCY, namespace, pods).text
    except PromQLError:
        # Only a namespace that no cluster can have: control characters are not sent.
        assert any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 or 0xD800 <= ord(char) < 0xE000 for char in namespace)
        return
    before, after = found(text), found(sent)
    assert len(before) == len(after)
    for old, new in zip(before, after, strict=True):
        assert (old.name, old.offset, str(old.at)) == (new.name, new.offset, str(new.at))
        for asked, held in zip(alternatives(old), alternatives(new), strict=True):
            assert set(asked) <= set(held)
            name = old.name or next(
                (value for label, op, value in asked if (label, op[-5:]) == ("__name__", "Equal")), None
            )
            exported = "exported_" if name is not None and name.startswith("kube_") else ""
            assert (f"{exported}namespace", "MatchOp.Equal", namespace) in held
            if workload:
                assert (f"{exported}pod", "MatchOp.Re", r"web-1|web-2\.x") in held
            if name is None:
                assert ("__name__", "MatchOp.NotRe", "(?:kube_.*)") in held


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_either_parsed_or_refused(text: str) -> None:
    message = "."
    try:
        parse(text).confine(TENANCY, "mine", None)
    except PromQLError as error:
        message = str(error)
    assert message.endswith(".")


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet='up{}()[]"=~!,orby 15m:@offset-+/\\`#\n', max_size=40))
def test_any_mash_of_promql_is_confined_or_refused(text: str) -> None:
    try:
        sent = parse(text).confine(TENANCY, "mine", None).text
    except PromQLError:
        return
    for node in found(sent):
        for held in alternatives(node):
            assert ("namespace", "MatchOp.Equal", "mine") in held
