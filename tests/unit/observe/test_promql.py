"""Declared PromQL: what is taken, what is refused, and what is forced into it."""

import promql_parser as pp
import pytest

from trimtab.api.datasource import Tenancy, TenancyOverride
from trimtab.observe.errors import PromQLError
from trimtab.observe.podmatcher import PodMatcher
from trimtab.observe.promql import parse

PODS = PodMatcher.exact(["web-1", "web-2"])
PLAIN = Tenancy()
MIXED = Tenancy(
    overrides=(TenancyOverride(metric_pattern="kube_.*", label="exported_namespace"),),
    allow_unlabelled=("cluster:.*",),
)


def selectors(text: str) -> list[pp.VectorSelector]:
    found: list[pp.VectorSelector] = []

    def note(node: pp.Expr) -> None:
        if isinstance(node, pp.VectorSelector):
            found.append(node)

    pp.walk(pp.parse(text), note, None)
    return found


def groups(selector: pp.VectorSelector) -> list[list[tuple[str, str]]]:
    rows = selector.matchers.or_matchers or [selector.matchers.matchers]
    return [[(matcher.name, matcher.value) for matcher in row] for row in rows]


ADVERSARIAL = [
    'up or up{namespace="other"}',
    'up or up{namespace!="mine"}',
    '{__name__=~".+"}',
    '{__name__=~".+", namespace=~".*"}',
    '{namespace="other"}',
    'up{a="b" or namespace="other"}',
    '{a="a", d="d" or b="b" or namespace="other"}',
    "max_over_time(rate(up[5m])[1h:30s] offset 1h)",
    'sum(max_over_time(sum(up{namespace="other"})[10m:1m]))',
    'up * on (pod) group_left (node) up{namespace="other"}',
    'up * ignoring (pod) group_right (node) up{namespace="other"}',
    'up # } or secret{namespace="other"}\n + up',
    'up{a="}{ or secret #"} + secret',
    'up{a="\\"} or secret{b=\\""}',
    "up{a='\"} or secret{b=\"'}",
    'up{a="\\\\"} or secret{b="\\\\"}',
    'up{a=`"} or secret{b="`}',
    'up{a="ünï → cödé"} or {"metric.name"}',
    '{"metric.name", "label name"="x"} or {"a\\"b"="c"}',
    "up @ end() offset 5m or secret @ 1700000000",
    'absent(up{namespace="other"})',
    "absent_over_time(secret[5m])",
    "histogram_quantile(0.95, sum by (le) (rate(secret_bucket[2m])))",
    'label_replace(secret, "namespace", "mine", "namespace", ".*")',
    'label_join(secret, "namespace", "", "a")',
    'count_values("namespace", secret)',
    "topk(scalar(secret), up)",
    "quantile(scalar(secret), up)",
    "vector(scalar(secret)) + -secret ^ +secret",
    'sort_by_label(secret, "namespace")',
    'group by (namespace) (secret) unless on () secret{namespace="mine"}',
    "clamp_max(secret, scalar(secret))",
    "predict_linear(secret[1h], scalar(secret))",
]


@pytest.mark.parametrize("text", ADVERSARIAL)
def test_every_selector_of_a_hostile_query_gets_the_namespace_and_the_pods(text: str) -> None:
    confined = parse(text).confine(PLAIN, "mine", PODS)
    found = selectors(confined.text)
    assert found
    for selector in found:
        for group in groups(selector):
            assert ("namespace", "mine") in group
            assert ("pod", "web-1|web-2") in group


@pytest.mark.parametrize("text", ADVERSARIAL)
def test_confining_keeps_what_the_user_asked_for(text: str) -> None:
    confined = parse(text).confine(PLAIN, "mine", PODS)
    assert [selector.name for selector in selectors(confined.text)] == [s.name for s in selectors(text)]
    for before, after in zip(selectors(text), selectors(confined.text), strict=True):
        assert (before.offset, before.at and before.at.at) == (after.offset, after.at and after.at.at)
        for old, new in zip(groups(before), groups(after), strict=True):
            assert set(old) <= set(new)


def test_the_workload_scope_adds_pods_and_the_namespace_scope_does_not() -> None:
    assert parse("up").confine(PLAIN, "mine", PODS).text == 'up{namespace="mine",pod=~"web-1|web-2"}'
    assert parse("up").confine(PLAIN, "mine", None).text == 'up{namespace="mine"}'


def test_a_namespace_is_written_as_data_whatever_it_holds() -> None:
    text = parse("up").confine(PLAIN, 'a"} or secret{b="\\', None).text
    (selector,) = selectors(text)
    assert ("namespace", 'a"} or secret{b="\\') in groups(selector)[0]


def test_an_override_moves_the_matchers_to_the_labels_of_that_metric() -> None:
    text = parse("kube_pod_info + up").confine(MIXED, "mine", PODS).text
    info, up = selectors(text)
    assert groups(info) == [[("exported_namespace", "mine"), ("exported_pod", "web-1|web-2")]]
    assert groups(up) == [[("namespace", "mine"), ("pod", "web-1|web-2")]]


@pytest.mark.parametrize(
    "text", ['{__name__=~"kube_.*"}', '{__name__!="x", a="b"}', '{job="ksm"}', '{job="ksm" or a="b"}']
)
def test_a_selector_by_pattern_can_not_reach_metrics_whose_owner_stands_elsewhere(text: str) -> None:
    (selector,) = selectors(parse(text).confine(MIXED, "monitoring", None).text)
    for group in groups(selector):
        assert ("__name__", "(?:kube_.*)") in group
        assert ("namespace", "monitoring") in group


def test_an_exact_name_given_as_a_matcher_follows_its_override() -> None:
    (selector,) = selectors(parse('{__name__="kube_pod_info"}').confine(MIXED, "mine", None).text)
    assert groups(selector)[0][-1] == ("exported_namespace", "mine")


def test_an_allow_listed_recording_rule_is_read_as_it_is_and_its_neighbours_are_not() -> None:
    confined = parse("cluster:load:sum / sum(up)").confine(MIXED, "mine", PODS)
    rule, up = selectors(confined.text)
    assert groups(rule) == [[]]
    assert ("namespace", "mine") in groups(up)[0]


def test_an_allow_listed_name_does_not_open_a_pattern() -> None:
    (selector,) = selectors(parse('{__name__=~"cluster:.*"}').confine(MIXED, "mine", None).text)
    assert ("namespace", "mine") in groups(selector)[0]


def test_the_forced_matchers_are_said_in_short() -> None:
    assert parse("up").confine(PLAIN, "mine", PODS).forced == 'namespace="mine", pod=~"web-1|web-2"'
    many = PodMatcher.exact([f"web-{number}" for number in range(50)])
    assert parse("up").confine(PLAIN, "mine", many).forced == 'namespace="mine", pod: 50 pods'
    assert parse("1 + 1").confine(PLAIN, "mine", PODS).forced == "no matcher"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("up{", "no PromQL"),
        ("{}", "no PromQL"),
        ('{a=""}', "no PromQL"),
        ('up{a=~"("}', "no PromQL"),
        ("wat(up)", "no PromQL"),
        ("up[5m]", "range of samples"),
        ("(up[5m:1m])", "range of samples"),
        ('"text"', "string"),
        ("info(up)", "info"),
        ('sum(info(up, {a="b"}))', "info"),
        ("up offset 31d", "31.0 days"),
        ("rate(up[31d])", "31.0 days"),
        ("max_over_time(rate(up[20d])[20d:1h])", "40.0 days"),
        ("max_over_time(up[10d:1h] offset 25d)", "35.0 days"),
        ("max_over_time(up[30d:1s])", "steps"),
        ("max_over_time(max_over_time(up[1d:1m])[1d:1m])", "steps"),
        ("up offset -5m", "negative offset"),
        ("max_over_time(up[5m:1m] offset -5m)", "negative offset"),
        ("up @ -5", "1970"),
        ("up @  -5", "1970"),
        ("up @ # a comment between\n -5", "value that the parser can't take"),
        ("up @ 9e11", "out of range"),
        ("max_over_time(up[5m:1m] @ 1e13)", "out of range"),
        ("(" * 100 + "up" + ")" * 100, "nests deeper"),
        ("abs(" * 70 + "up" + ")" * 70, "nests deeper"),
        ("+".join(["1"] * 200), "nests deeper"),
        ("-" * 200 + "up", "nests deeper"),
        ("+".join(["up"] * 33), "32 selectors"),
        ("up{a='" + "x" * 4096 + "'}", "4096"),
        ("up\x00", "control character"),
        ("up{a='\x9b'}", "control character"),
        ('up{a="\\x00"}', "control character"),
        ('label_replace(up, "a", "\\x1b", "b", "c")', "control character"),
        ("up{a='\ud800'}", "control character"),
    ],
)
def test_what_can_not_be_used_is_refused_with_a_reason_and_a_remedy(text: str, words: str) -> None:
    with pytest.raises(PromQLError, match=words) as refusal:
        parse(text)
    message = str(refusal.value)
    assert message.endswith(".")
    assert "\n" not in message
    assert len(message) < 300


@pytest.mark.parametrize("text", ["(" * 4000, "{" * 4000, "-" * 4000 + "up", "1^" * 2000 + "1", "up+" * 1300 + "up"])
def test_the_deepest_texts_that_fit_are_answered_at_once(text: str) -> None:
    with pytest.raises(PromQLError) as refusal:
        parse(text)
    assert len(str(refusal.value)) < 300


def test_depth_inside_strings_and_comments_does_not_count() -> None:
    deep = "(" * 100
    assert parse(f'up{{a="{deep}"}} # {deep}\n').metric_names == {"up"}


def test_an_at_time_is_bound_to_thirty_days_around_the_evaluation() -> None:
    query = parse("up @ 1700000000")
    assert "@ 1700000000.000" in query.confine(PLAIN, "mine", None, at=1_700_000_500.0).text
    with pytest.raises(PromQLError, match="30 days"):
        query.confine(PLAIN, "mine", None, at=1_700_000_000.0 + 31 * 86_400.0)


def test_a_query_without_series_is_scalar_and_stays_as_it_is() -> None:
    query = parse("1 + 2 * time()")
    assert query.is_scalar
    assert query.metric_names == frozenset()
    assert query.confine(PLAIN, "mine", PODS).text == "1 + 2 * time()"


def test_metric_names_are_those_named_exactly() -> None:
    query = parse('a + {__name__="b"} + {"c.d"} + {__name__=~"e.*"} + {f="g"}')
    assert query.metric_names == {"a", "b", "c.d"}


def test_lookback_adds_ranges_and_offsets_along_the_deepest_path() -> None:
    assert parse("up").lookback_seconds == 0.0
    assert parse("rate(a[5m] offset 1h) + rate(b[10m])").lookback_seconds == 3900.0
    assert parse("max_over_time(rate(a[5m])[1h:1m] offset 1d)").lookback_seconds == 90_300.0


def test_confining_again_with_the_same_pods_gives_the_kept_result() -> None:
    query = parse("up")
    first = query.confine(PLAIN, "mine", PODS)
    assert query.confine(PLAIN, "mine", PodMatcher.exact(["web-2", "web-1"])) is first
    for number in range(10):
        query.confine(PLAIN, f"other-{number}", None)
    assert query.confine(PLAIN, "mine", PODS) == first


def test_long_queries_are_sent_on_one_line() -> None:
    text = parse(" + ".join(f'sum(rate(requests_{n}_total{{path="a  b"}}[5m]))' for n in range(9))).confine(
        PLAIN, "mine", PODS
    )
    assert "\n" not in text.text
    assert 'path="a  b"' in text.text


def test_what_a_faulty_rewriting_leaves_open_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    query = parse("up or secret")
    monkeypatch.setattr("trimtab.observe.promql.pp.transform", lambda tree, before, after: tree)
    with pytest.raises(PromQLError, match="can't be confined"):
        query.confine(PLAIN, "mine", PODS)


def test_a_selector_that_would_be_read_otherwise_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    query = parse('up{a="x"}')
    monkeypatch.setattr("trimtab.observe.selectors.quoted", lambda value: f'"{value}"')
    with pytest.raises(PromQLError, match="can't be confined"):
        query.confine(PLAIN, 'mine"} or secret{b="', None)
