"""From Prometheus' results to answers: one finite fresh number, or the reason why there is none (RULES 19)."""

import asyncio
import math
from collections.abc import Mapping, Sequence

from trimtab.api.answers import REASONS, Answer, AnswerKind, no_value
from trimtab.observe.companions import newest_sample, sample_time, selectors_in
from trimtab.observe.probes import ask_all
from trimtab.observe.promql import ConfinedQuery
from trimtab.observe.source import MetricSource, Sample, SourceError

STALE_INTERVALS = 2.0

__all__ = ["Answer", "AnswerKind", "ask", "classify", "failed"]


def failed(error: SourceError) -> Answer:
    """The answer when the source gave none."""
    return no_value(AnswerKind.ERROR, error.message, reason=error.reason.value)


def classify(
    samples: Sequence[Sample],
    query: ConfinedQuery,
    at: float,
    scrape_interval: float,
    newest: Mapping[str, float],
    traffic: Mapping[str, float],
) -> Answer:
    """What a result means.

    ``at`` is the evaluation time and ``scrape_interval`` the datasource's, in seconds. ``newest`` maps selectors of
    ``query.freshness`` to the Unix times of their newest samples, ``traffic`` the texts of ``query.traffic`` to
    their rates; a missing entry means that there was no sample.
    """
    if not samples:
        return no_value(AnswerKind.EMPTY, _empty(query))
    if len(samples) > 1:
        return no_value(
            AnswerKind.AMBIGUOUS,
            f"The query gave {len(samples)} series where one number is needed; wrap it in sum() or max(), or drop "
            "labels from its by (…).",
        )
    value = samples[0].value
    sampled = at if query.freshness is None else sample_time(query.freshness, newest)
    if math.isnan(sampled):
        return no_value(
            AnswerKind.STALE,
            "The query still gave a number, but some of its series have ended; check that the exporter is scraped.",
        )
    if at - sampled > STALE_INTERVALS * scrape_interval:
        return no_value(
            AnswerKind.STALE,
            f"The newest sample is {at - sampled:.0f} s old, more than two scrape intervals of {scrape_interval:g} s; "
            "check that the exporter is scraped and that the clocks agree.",
            sampled,
        )
    if math.isnan(value):
        if any(traffic.get(text) == 0.0 for text in query.traffic):
            return no_value(
                AnswerKind.NO_TRAFFIC, "There was no traffic in the query's window, so there is no latency.", sampled
            )
        return no_value(
            AnswerKind.NAN, "The query gave NaN; check for 0/0 and for histograms without observations.", sampled
        )
    if math.isinf(value):
        return no_value(
            AnswerKind.INF,
            "The query gave an infinite number; check for a division by zero and for the largest bucket's bound.",
            sampled,
        )
    return Answer(AnswerKind.VALUE, value, REASONS[AnswerKind.VALUE], "One fresh number.", sampled)


def _empty(query: ConfinedQuery) -> str:
    return (
        f"The query found no series; Trimtab confined it to {query.forced}, so check that the metric exists and "
        "carries these labels."
    )


async def ask(source: MetricSource, queries: Sequence[ConfinedQuery], at: float) -> list[Answer]:
    """Ask a datasource several questions at ``at`` (Unix seconds); one answer each, in their order.

    Equal texts are asked once. Those that gave one series are then checked for freshness, and for traffic where
    they gave NaN, all together in a few requests.
    """
    texts = list(dict.fromkeys(query.text for query in queries))
    outcomes = await asyncio.gather(*(_outcome(source, text, at) for text in texts))
    results = dict(zip(texts, outcomes, strict=True))
    interval = source.scrape_interval_seconds
    single = [query for query in queries if _number(results[query.text]) is not None]
    stamps = {
        selector: newest_sample(selector, interval) for query in single for selector in selectors_in(query.freshness)
    }
    undefined = [query for query in single if math.isnan(_number(results[query.text]) or 0.0)]
    rates = [text for query in undefined for text in query.traffic]
    try:
        numbers = await ask_all(source, [*stamps.values(), *rates], at)
    except SourceError as error:
        # Without the companions nobody knows how old a number is: then it is none.
        return [
            _answer(error if _number(result) is not None else result, query, at, interval, {}, {})
            for query, result in ((query, results[query.text]) for query in queries)
        ]
    newest = {selector: numbers[text] for selector, text in stamps.items() if text in numbers}
    return [_answer(results[query.text], query, at, interval, newest, numbers) for query in queries]


async def _outcome(source: MetricSource, text: str, at: float) -> list[Sample] | SourceError:
    try:
        return await source.query(text, at)
    except SourceError as error:
        return error


def _number(result: list[Sample] | SourceError) -> float | None:
    """The value of a result that has exactly one."""
    return result[0].value if isinstance(result, list) and len(result) == 1 else None


def _answer(
    result: list[Sample] | SourceError,
    query: ConfinedQuery,
    at: float,
    interval: float,
    newest: Mapping[str, float],
    traffic: Mapping[str, float],
) -> Answer:
    if isinstance(result, SourceError):
        return failed(result)
    return classify(result, query, at, interval, newest, traffic)
