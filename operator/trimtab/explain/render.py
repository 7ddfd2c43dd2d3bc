"""An explanation as text for people. `style(text, kind)` may colour: title, good, bad, dim."""

from collections.abc import Callable, Iterator

from trimtab.explain.model import Explanation, Source, Verdict

Style = Callable[[str, str], str]
_MARKS = {Verdict.MOVED: "good", Verdict.ENDED: "good", Verdict.HELD: "bad", Verdict.QUIET: "dim"}


def plain(text: str, _kind: str) -> str:
    """No colours."""
    return text


def rendered(explained: Explanation, style: Style = plain) -> str:
    """The explanation as text, one fact a line."""
    return "\n".join(_lines(explained, style)) + "\n"


def _lines(e: Explanation, style: Style) -> Iterator[str]:
    yield style(f"{e.resource} ({e.target})", "title")
    if e.decision is not None:
        d = e.decision
        yield f"Decision {d.id} of {d.time}: {d.lever} {d.from_} → {d.to} ({d.reason})."
        yield d.message
    if e.equal is not None:
        yield (
            style("Recomputed from the recorded inputs: the same decision.", "good")
            if e.equal
            else style("Recomputed from the recorded inputs: not the same, see below.", "bad")
        )
    elif e.decision is not None:
        yield style(f"From the {'journal' if e.source is Source.JOURNAL else 'status'} alone.", "dim")
    yield from _block("What was seen", e.seen, style)
    if e.checks:
        yield ""
        yield style("Checks, in their order", "title")
        for number, check in enumerate(e.checks, 1):
            yield f"{number:>3}. {style(f'{check.step}: {check.verdict}', _MARKS[check.verdict])}"
            yield from (f"     {said}" for said in check.says)
    yield from _block("What the other levers would have done", [one.says for one in e.alternatives], style)
    if e.what_if is not None:
        same = "The same would have been decided." if e.what_if.same else "Something else would have been decided."
        yield from _block(f"With {', '.join(e.what_if.changes)}", [same, *e.what_if.says], style)
    if e.decision is not None:
        yield from _block("Predicted", [e.predicted or "Nothing was predicted."], style)
        yield from _block("What came", [e.came], style)
    yield from _block("Now", e.now, style)
    yield from _block("What is missing here", e.missing, style)
    yield from _block("Other decisions (--decision ID)", e.others[:10], style)


def _block(title: str, lines: list[str], style: Style) -> Iterator[str]:
    if lines:
        yield ""
        yield style(title, "title")
        yield from (f"  {line}" for line in lines)
