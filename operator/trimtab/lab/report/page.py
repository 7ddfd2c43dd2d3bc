"""A report as one page of HTML that needs nothing else: no script or font from elsewhere, legible on a phone."""

from collections.abc import Sequence
from html import escape

from trimtab.lab.report.plot import Plot, svg
from trimtab.lab.report.tables import Table

_COLOURS = (
    "#1769aa",
    "#c2410c",
    "#15803d",
    "#7e22ce",
    "#be123c",
    "#0f766e",
    "#a16207",
    "#4d5563",
    "#db2777",
    "#65a30d",
)
_MEASURED = "#8a94a6"
LONG = 30
"""Rows from which on a table is folded: the plots stand below it."""

_STYLE = """
:root{color-scheme:light dark;--line:#8884;--soft:#8881}
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:1080px;padding:1rem}
h1{font-size:1.5rem;margin:.2rem 0}h2{font-size:1.15rem;margin:1.6rem 0 .4rem}
.scroll{overflow:auto;max-height:85vh}
table{border-collapse:separate;border-spacing:0;font-size:.85rem;font-variant-numeric:tabular-nums}
th,td{padding:.2rem .6rem;text-align:right;white-space:nowrap}th.l,td.l{text-align:left}
thead th{border-bottom:2px solid var(--line);position:sticky;top:0;background:Canvas;z-index:1}
tr.e td{border-bottom:1px solid var(--line)}
th:first-child,td:first-child{position:sticky;left:0;background:Canvas}thead th:first-child{z-index:2}
td:first-child{max-width:24rem;white-space:normal;overflow-wrap:anywhere}
@media(max-width:40rem){td:first-child{max-width:40vw;min-width:7rem}}
tbody tr:hover{background:var(--soft)}
input[type=search]{font:inherit;width:100%;max-width:26rem;padding:.4rem .6rem;margin:.6rem 0}
details{border:1px solid var(--line);border-radius:.5rem;margin:.6rem 0;padding:.4rem .7rem}
summary{cursor:pointer;font-weight:600;overflow-wrap:anywhere}
.legend{display:flex;flex-wrap:wrap;gap:.2rem 1rem;margin:.4rem 0;font-size:.9rem}
.legend i{display:inline-block;width:.9em;height:.9em;border-radius:2px;margin-right:.3em;vertical-align:-1px}
.legend label{padding:.15rem 0}
svg{width:100%;min-width:640px;height:auto;display:block}
svg text{font:12px system-ui,sans-serif;fill:currentColor}svg .g{stroke:var(--line)}svg .w{fill:var(--soft)}
svg path{stroke-width:1.4}svg .m{stroke:#0008;stroke-width:.5}
.note{font-size:.85rem;opacity:.8;margin:.2rem 0}
"""

_SCRIPT = """
const all=[...document.querySelectorAll('details[data-t]')],long=[...document.querySelectorAll('details.t')];
document.querySelector('#find')?.addEventListener('input',e=>{
 const q=e.target.value.toLowerCase();
 for(const d of all)d.style.display=d.dataset.t.includes(q)?'':'none';
 for(const r of document.querySelectorAll('.q tbody tr'))
  r.style.display=r.textContent.toLowerCase().includes(q)?'':'none';
 if(q)for(const d of long)if([...d.querySelectorAll('tbody tr')].some(r=>r.style.display===''))d.open=true;
});
for(const d of all)d.addEventListener('change',e=>{
 for(const s of d.querySelectorAll('.s'))if(s.dataset.s===e.target.value)s.style.display=e.target.checked?'':'none';
});
document.querySelector('#open')?.addEventListener('click',()=>{
 const open=all.some(d=>!d.open);for(const d of all)d.open=open;
});
"""


def page(title: str, notes: Sequence[str], tables: Sequence[Table], plots: Sequence[Plot]) -> str:
    """The report; a search field hides plots and rows of searched tables that do not contain what is typed."""
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>",
        *(f'<p class="note">{escape(note)}</p>' for note in notes),
        '<input type="search" id="find" placeholder="Find a recording or a policy" aria-label="Find">',
        *(_table(table) for table in tables),
    ]
    if plots:
        parts.append('<h2>Recordings</h2><button id="open" type="button">Open or close all</button>')
        parts += [_figure(plot, index == 0) for index, plot in enumerate(plots)]
    return "".join([*parts, f"<script>{_SCRIPT}</script></body></html>\n"])


def _table(table: Table) -> str:
    kinds = ["" if column.number else ' class="l"' for column in table.columns]
    head = "".join(f"<th{kind}>{escape(column.title)}</th>" for kind, column in zip(kinds, table.columns, strict=True))
    body = []
    for index, row in enumerate(table.rows):
        following = table.rows[index + 1] if index + 1 < len(table.rows) else row
        ends = table.group and following.get(table.group) != row.get(table.group)
        cells = "".join(f"<td{k}>{escape(c)}</td>" for k, c in zip(kinds, table.cells(row), strict=True))
        body.append(f"<tr{' class=e' if ends else ''}>{cells}</tr>")
    grid = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
    scroll = f'<div class="scroll{" q" if table.searched else ""}">{grid}</div>'
    if len(table.rows) <= LONG:
        return f"<h2>{escape(table.title)}</h2>{scroll}"
    return f'<details class="t"><summary>{escape(table.title)} ({len(table.rows)} rows)</summary>{scroll}</details>'


def _figure(plot: Plot, is_open: bool) -> str:
    colours = _colours(plot)
    legend = "".join(
        f'<label><input type="checkbox" value="{escape(line.name)}"{" checked" if line.shown else ""}>'
        f'<i style="background:{colours[line.name]}"></i>{escape(line.name)}</label>'
        for line in plot.lines
    )
    searched = escape(" ".join([plot.title, *(line.name for line in plot.lines)]).lower())
    note = f'<p class="note">{escape(plot.note)}</p>' if plot.note else ""
    return (
        f'<details data-t="{searched}"{" open" if is_open else ""}><summary>{escape(plot.title)}</summary>'
        f'<div class="legend">{legend}</div><div class="scroll">{svg(plot, colours)}</div>{note}</details>'
    )


def _colours(plot: Plot) -> dict[str, str]:
    """A colour a line, by its place among the plot's lines; what was measured is grey."""
    result, index = {}, 0
    for line in plot.lines:
        if line.area:
            result[line.name] = _MEASURED
        else:
            result[line.name] = _COLOURS[index % len(_COLOURS)]
            index += 1
    return result
