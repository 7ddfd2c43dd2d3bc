"""Companion questions asked in few requests: many small queries, told apart by a label, joined by ``or``."""

import asyncio
from collections.abc import Iterable, Iterator

from trimtab.observe.selectors import quoted
from trimtab.observe.source import MetricSource, Sample

PROBE_LABEL = "trimtab_probe"
MAX_BATCH = 16
MAX_BATCH_BYTES = 32 << 10


def joined(texts: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """Requests of bounded size, each with the texts in it; the text at place i carries PROBE_LABEL="i".

    Each text must give a vector whose series have no labels, as sum() and max() do.
    """
    batch: list[str] = []
    size = 0
    for text in dict.fromkeys(texts):
        if batch and (len(batch) >= MAX_BATCH or size + len(text) > MAX_BATCH_BYTES):
            yield _request(batch), batch
            batch, size = [], 0
        batch.append(text)
        size += len(text)
    if batch:
        yield _request(batch), batch


def _request(batch: list[str]) -> str:
    # The aggregations dropped the metric's name, so that ".*" over it always matches.
    return " or ".join(
        f'label_replace({text}, "{PROBE_LABEL}", {quoted(str(place))}, "__name__", ".*")'
        for place, text in enumerate(batch)
    )


async def ask_all(source: MetricSource, texts: Iterable[str], at: float) -> dict[str, float]:
    """The number that each text gives at ``at``; a text without an answer is left out.

    Raises:
        SourceError: the source did not answer.
    """
    numbers: dict[str, float] = {}
    requests = list(joined(texts))
    results = await asyncio.gather(*(source.query(request, at) for request, _ in requests))
    for (_, batch), samples in zip(requests, results, strict=True):
        for sample in samples:
            place = _place(sample)
            if place < len(batch):
                numbers[batch[place]] = sample.value
    return numbers


def _place(sample: Sample) -> int:
    text = sample.labels.get(PROBE_LABEL, "")
    return int(text) if text.isascii() and text.isdigit() else MAX_BATCH
