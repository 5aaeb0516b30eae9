"""A Sankey diagram as others read it: the text of SankeyMATIC, and SVG.

Names of stages are their owner's own text: each format gets them in a form that means nothing in it but a name.
"""

import re
from collections.abc import Sequence

from shared.analytics.models import Link, Node, Sankey

# ---------------------------------------------------------------- SankeyMATIC

# What SankeyMATIC would read as something else, and what it is shown as: amounts [2], colours #fff, labels ':name',
# comments // and ', line breaks \n, hidden names -name-, moves "move a 1, 2" (nowthis/sankeymatic, build/constants.js
# and build/sankeymatic.js; https://sankeymatic.com/manual/syntax.html). It has no escapes.
LOOKALIKES = str.maketrans({"[": "(", "]": ")", "#": "＃", "\\": "＼", "'": "’", "/": "∕", ":": "꞉", ",": "‚"})  # noqa: RUF001


def sankeymatic(sankey: Sankey) -> str:
    """``Applied [2] Interview``, a line for each link. Two nodes never get one name, which would make them one."""
    names: list[str] = []
    for node in sankey.nodes:
        plain = _one_line(node.name).translate(LOOKALIKES).strip("- ") or "–"  # noqa: RUF001
        names.append(_unlike(names, plain))
    lines = [f"{names[link.source]} [{link.count}] {names[link.target]}" for link in sankey.links]
    return "\n".join(lines or ["// Nothing has moved yet."]) + "\n"


def _unlike(others: Sequence[str], name: str) -> str:
    number, unlike = 1, name
    while unlike in others:
        number += 1
        unlike = f"{name} ({number})"
    return unlike


# ---------------------------------------------------------------- SVG

WIDTH, HEIGHT, MARGIN = 960, 480, 24
BAR, GAP = 14, 18
LONGEST_LABEL = 32
COLOURS = {
    "saved": "#94a3b8",
    "applied": "#3b82f6",
    "in_process": "#8b5cf6",
    "offer": "#f59e0b",
    "accepted": "#16a34a",
    "closed": "#dc2626",
    "open": "#64748b",
}
# What XML 1.0 cannot hold at all, escaped or not (section 2.2).
NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def svg(sankey: Sankey) -> str:
    """A drawing for screens and screen readers: the same flows give the same bytes. No script, no link, no font."""
    columns = _columns(sankey)
    last = max(columns, default=0)
    stacks: list[list[int]] = [[] for _ in range(last + 1)]
    for n, column in enumerate(columns):
        stacks[column].append(n)
    deepest = max(1, *map(len, stacks))
    gap = min(GAP, (HEIGHT - 2 * MARGIN) / 2 / deepest)
    fullest = max(sum(sankey.nodes[n].count for n in stack) for stack in stacks)
    scale = (HEIGHT - 2 * MARGIN - gap * (deepest - 1)) / max(fullest, 1)
    step = (WIDTH - 2 * MARGIN - BAR - 160) / max(last, 1)
    tops = [0.0] * len(sankey.nodes)
    for stack in stacks:
        y = float(MARGIN)
        for n in stack:
            tops[n] = y
            y += sankey.nodes[n].count * scale + gap
    lefts = [MARGIN + column * step for column in columns]
    links = "".join(_ribbons(sankey.links, lefts, tops, scale, sankey.nodes))
    bars = "".join(_bar(node, left, top, scale) for node, left, top in zip(sankey.nodes, lefts, tops, strict=True))
    flows = "; ".join(
        f"{sankey.nodes[link.source].name} to {sankey.nodes[link.target].name}: {link.count}" for link in sankey.links
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'aria-labelledby="title description" font-family="sans-serif" font-size="13">'
        '<title id="title">How applications flowed</title>'
        f'<desc id="description">{_text(flows or "Nothing has moved yet.")}</desc>'
        f'<g fill="none" stroke-opacity="0.35">{links}</g><g>{bars}</g></svg>\n'
    )


def _columns(sankey: Sankey) -> list[int]:
    """As far to the right as the longest way leads; what has ended stands last. Links lead to later nodes only."""
    columns = [0] * len(sankey.nodes)
    for link in sankey.links:  # in the order of their sources, which all links into them come before
        columns[link.target] = max(columns[link.target], columns[link.source] + 1)
    last = max(columns, default=0)
    return [
        last if node.kind in ("closed", "open") else column for node, column in zip(sankey.nodes, columns, strict=True)
    ]


def _ribbons(
    links: Sequence[Link], lefts: Sequence[float], tops: Sequence[float], scale: float, nodes: Sequence[Node]
) -> list[str]:
    out, into = list(tops), list(tops)
    drawn = []
    for link in links:
        width = link.count * scale
        x1, x2 = lefts[link.source] + BAR, lefts[link.target]
        y1, y2 = out[link.source] + width / 2, into[link.target] + width / 2
        out[link.source] += width
        into[link.target] += width
        middle = (x1 + x2) / 2
        drawn.append(
            f'<path d="M{x1:.1f} {y1:.1f}C{middle:.1f} {y1:.1f} {middle:.1f} {y2:.1f} {x2:.1f} {y2:.1f}" '
            f'stroke="{COLOURS[nodes[link.target].kind]}" stroke-width="{width:.1f}"/>'
        )
    return drawn


def _bar(node: Node, left: float, top: float, scale: float) -> str:
    height = max(node.count * scale, 1)
    name = _one_line(node.name)
    label = name if len(name) <= LONGEST_LABEL else f"{name[: LONGEST_LABEL - 1]}…"
    return (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{BAR}" height="{height:.1f}" fill="{COLOURS[node.kind]}"/>'
        f'<text x="{left + BAR + 6:.1f}" y="{top + height / 2:.1f}" dominant-baseline="middle">'
        f"{_text(label)} ({node.count})</text>"
    )


def _text(text: str) -> str:
    from html import escape  # not at start: few draw

    return escape(NOT_XML.sub("\ufffd", text))


def _one_line(text: str) -> str:
    return " ".join(text.split())
