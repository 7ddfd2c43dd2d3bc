"""A page as Markdown and as HTML. Texts are data: whatever they hold, it is escaped."""

import re
from xml.etree import ElementTree as ET

from trimtab.audit.page import Page

_MARKS = re.compile(r"([\\`*_{}\[\]#|~!])")
_STYLE = """
:root{color-scheme:light dark;--line:#8884}
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:1200px;padding:1rem}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:.875rem}
th,td{text-align:left;vertical-align:top;padding:.25rem .6rem;border-bottom:1px solid var(--line)}
"""


def markdown(page: Page) -> str:
    """The page as Markdown."""
    parts = [f"# {_escaped(page.title)}", *map(_escaped, page.says)]
    for section in page.sections:
        parts += [f"## {_escaped(section.title)}", *map(_escaped, section.says)]
        if section.rows:
            lines = [section.head, ("---",) * len(section.head)]
            body = [tuple(map(_escaped, row)) for row in section.rows]
            parts.append("\n".join("| " + " | ".join(cells) + " |" for cells in (*lines, *body)))
    return "\n\n".join(parts) + "\n"


def _escaped(text: str) -> str:
    """As Markdown shows it letter by letter, on one line."""
    flat = _visible(" ".join(text.split()))
    return _MARKS.sub(r"\\\1", flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))


def html(page: Page) -> str:
    """The page as one file of HTML that needs nothing else: no script, no font, no image."""
    root = ET.Element("html", lang="en")
    head = ET.SubElement(root, "head")
    ET.SubElement(head, "meta", charset="utf-8")
    ET.SubElement(head, "meta", name="viewport", content="width=device-width,initial-scale=1")
    ET.SubElement(
        head,
        "meta",
        {"http-equiv": "Content-Security-Policy", "content": "default-src 'none'; style-src 'unsafe-inline'"},
    )
    _child(head, "title", page.title)
    # The serialiser leaves the text of a style as it is; this one holds nothing from elsewhere.
    ET.SubElement(head, "style").text = _STYLE
    body = ET.SubElement(root, "body")
    _child(body, "h1", page.title)
    for text in page.says:
        _child(body, "p", text)
    for section in page.sections:
        _child(body, "h2", section.title)
        for text in section.says:
            _child(body, "p", text)
        if section.rows:
            table = ET.SubElement(ET.SubElement(body, "div", {"class": "scroll"}), "table")
            row = ET.SubElement(ET.SubElement(table, "thead"), "tr")
            for cell in section.head:
                _child(row, "th", cell)
            below = ET.SubElement(table, "tbody")
            for cells in section.rows:
                row = ET.SubElement(below, "tr")
                for cell in cells:
                    _child(row, "td", cell)
    return "<!doctype html>\n" + ET.tostring(root, encoding="unicode", method="html") + "\n"


def _child(parent: ET.Element, tag: str, text: str) -> None:
    ET.SubElement(parent, tag).text = _visible(text)


def _visible(text: str) -> str:
    """Without control characters, which neither form may hold."""
    return "".join(char if char.isprintable() or char.isspace() else "�" for char in text)
