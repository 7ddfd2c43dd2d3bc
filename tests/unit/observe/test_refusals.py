"""What of a server's refusal people may read: its words about the query, and nothing of other people's data."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.observe.fakes import Exchange, http_server
from tests.unit.observe.sources import failure, source_at
from trimtab.observe.refusals import AWAY, ERROR_TYPES, MAX_SAID, OF_THE_QUERY, Refusal, read_refusal
from trimtab.observe.source import SourceError, SourceReason

MANY_TO_MANY = (
    'found duplicate series for the match group {pod="web-1"} on the right hand-side of the operation: '
    '[{__name__="orders", customer="Ada } \\" Lovelace", pod="web-1"}, {__name__="orders", customer="Bob"}];'
    "many-to-many matching not allowed: matching labels must be unique on one side"
)


def refused(text: object, kind: object = "execution") -> Refusal:
    return read_refusal(json.dumps({"status": "error", "errorType": kind, "error": text}).encode())


async def test_a_refused_query_says_in_the_server_s_words_what_to_correct() -> None:
    body = json.dumps({"status": "error", "errorType": "execution", "error": MANY_TO_MANY}).encode()
    error = await failure(lambda exchange: exchange.send(422, body))
    assert error.message == (
        "Datasource main refused the query (HTTP 422, execution): found duplicate series for the match group {…} on "
        "the right hand-side of the operation: [{…}, {…}];many-to-many matching not allowed: matching labels must be "
        "unique on one side; correct the query."
    )


async def test_a_refusal_without_such_words_says_to_run_the_query_by_hand() -> None:
    error = await failure(lambda exchange: exchange.send(400, b"<html>no</html>"))
    assert error.message == "Datasource main refused the query (HTTP 400); run it by hand to see why."


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("parse error: unexpected end of input.", "parse error: unexpected end of input"),
        ("1:5: parse error: unexpected <by>", "1:5: parse error: unexpected <by>"),
        ("receive series from Addr: store-0.thanos.svc:10901", "receive series from Addr: [address]"),
        ("Get https://10.0.0.7/api?token=x: EOF", "Get [address] EOF"),
        ("dial tcp 10.0.0.7:9090, [fd00::7]:9090", "dial tcp [address], [address]"),
        ('LabelSets: {customer="Ada', "LabelSets: {…}"),
        ("two\nlines \x1b[31mred", "two lines [31mred"),
        ("asked by ada@example.com", "asked by [e-mail]"),
        ("x" * 500, "x" * (MAX_SAID - 1) + "…"),
        ("", ""),
        (7, ""),
        (None, ""),
    ],
)
def test_series_addresses_people_and_control_characters_are_left_out(text: object, shown: str) -> None:
    assert refused(text).text == shown


@pytest.mark.parametrize("kind", sorted(ERROR_TYPES - OF_THE_QUERY))
def test_what_a_server_says_about_itself_is_not_repeated(kind: str) -> None:
    assert refused(MANY_TO_MANY, kind) == Refusal(kind)


@pytest.mark.parametrize("kind", ["422", "", None, 7, [], "secret"])
def test_words_of_a_type_that_prometheus_does_not_have_are_not_repeated(kind: object) -> None:
    assert refused(MANY_TO_MANY, kind) == Refusal()


@pytest.mark.parametrize("body", [b"", b"[]", b"7", b'"errorType"', b"[" * 60_000, b"\xff", b'{"error": "x"}'])
def test_a_body_that_is_no_answer_of_prometheus_is_an_empty_refusal(body: bytes) -> None:
    assert read_refusal(body) == Refusal()


@given(st.text())
def test_no_value_of_a_label_is_ever_shown(value: str) -> None:
    quoted = json.dumps("hidden" + value, ensure_ascii=False)
    assert "hidden" not in refused(f"series {{customer={quoted}}} failed").text


@given(st.text(alphabet='{}"\\ax\n:.@/[]=', max_size=6000))
def test_any_text_becomes_one_short_line(text: str) -> None:
    shown = refused(text).text
    assert len(shown) <= MAX_SAID
    assert shown.isprintable()


async def test_a_store_of_thanos_that_did_not_answer_is_an_outage_and_no_wrong_query() -> None:
    text = "expanding series: proxy Series(): rpc error: code = Aborted desc = receive series from Addr: 10.0.0.1:10901"
    body = json.dumps({"status": "error", "errorType": "execution", "error": text}).encode()
    error = await failure(lambda exchange: exchange.send(422, body))
    assert error.reason is SourceReason.SERVER_ERROR
    assert "10.0.0.1" not in error.message
    assert refused(text) == Refusal(AWAY)
    assert refused(f"{text}: rpc error: code = ResourceExhausted desc = exceeded series limit").kind == "execution"


@pytest.mark.parametrize(
    ("warnings", "reason"),
    [
        (
            ['fetch series for {cluster="test"} Addr: 10.0.0.1:1: rpc error: code = Unavailable'],
            SourceReason.SERVER_ERROR,
        ),
        (["PromQL info: metric might not be a counter"], None),
        ([], None),
        ("rpc error: code = Unavailable", None),
    ],
)
async def test_an_answer_that_lacks_a_store_is_an_outage_and_a_remark_on_the_query_is_none(
    warnings: object, reason: SourceReason | None
) -> None:
    answer = {"status": "success", "data": {"resultType": "vector", "result": []}, "warnings": warnings}

    def answers(exchange: Exchange) -> None:
        exchange.send(200, json.dumps(answer, separators=(",", ":")).encode())

    with http_server(answers) as url:
        async with source_at(url) as source:
            if reason is None:
                assert await source.query("up", 100.0) == []
                return
            with pytest.raises(SourceError) as caught:
                await source.query("up", 100.0)
    assert caught.value.reason is reason
    assert "10.0.0.1" not in caught.value.message
