"""The pieces of HTML reports: style, page, tables, bars. What goes into a cell is escaped here and nowhere else."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Final, NamedTuple

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #16202a; --soft: #56626e; --line: #d9dfe5; --good: #14713d; --bad: #a6192e;
  --open: #8a5a00; --paper: #ffffff; --tint: #f5f7f9; }
@media screen and (prefers-color-scheme: dark) { :root { --ink: #e6ebf0; --soft: #9fabb7; --line: #37424d;
  --good: #5fc48a; --bad: #ff8a94; --open: #e0b15a; --paper: #14191f; --tint: #1e262e; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 64rem; padding: 2.5rem 1.5rem 4rem; color: var(--ink); background: var(--paper);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.75rem; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.75rem 0 .75rem; padding-top: .75rem;
  border-top: 1px solid var(--line); } h3 { font-size: 1rem; margin: 1.75rem 0 .5rem; }
p { margin: 0 0 .75rem; max-width: 48rem; } .lead { color: var(--soft); margin: 0 0 1.5rem; }
.verdict { border-left: .4rem solid; padding: .8rem 1rem; background: var(--tint); font-weight: 600; max-width: none; }
.verdict.ok { border-color: var(--good); } .verdict.differs { border-color: var(--bad); }
.verdict.skipped { border-color: var(--open); }
nav { margin: 1.25rem 0 0; } nav ol { margin: 0; padding: 0; list-style: none; display: flex; flex-wrap: wrap;
  gap: .25rem 1.25rem; } a { color: inherit; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1.5rem; margin: 1rem 0 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .45rem .75rem .45rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }
th { color: var(--soft); font-weight: 600; } .number { text-align: right; font-variant-numeric: tabular-nums;
  white-space: nowrap; }
tr.total td { font-weight: 600; border-top: 2px solid var(--ink); }
code, pre { font: .85em/1.5 ui-monospace, monospace; overflow-wrap: anywhere; }
pre { white-space: pre-wrap; background: var(--tint); padding: .75rem 1rem; margin: .75rem 0; }
.ok { color: var(--good); } .differs { color: var(--bad); font-weight: 600; } .skipped { color: var(--open); }
.bars { display: block; width: 100%; height: 13rem; border-bottom: 1px solid var(--line); }
td .bars { width: 8rem; height: 1.5rem; border: 0; } .then { fill: var(--soft); background: var(--soft); }
.now { fill: var(--bad); background: var(--bad); } .ends { display: flex; justify-content: space-between; gap: 1rem;
  max-width: none; color: var(--soft); font-size: .9rem; }
.key { display: inline-block; width: .8rem; height: .8rem; margin: 0 .35rem 0 1rem; print-color-adjust: exact; }
footer { margin-top: 3rem; color: var(--soft); font-size: .9rem; }
@page { margin: 18mm 15mm; }
@media print { body { max-width: none; padding: 0; font-size: 10pt; } nav { display: none; }
  h2, h3 { break-after: avoid; } tr, pre, .verdict { break-inside: avoid; } thead { display: table-header-group; }
  .wide { overflow: visible; } }
@media (max-width: 40rem) { dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .5rem; }
  body { padding: 1.5rem 1rem 3rem; } td:first-child code { display: inline-block; min-width: 11rem; } }
"""
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


class Cell(NamedTuple):
    """A cell's text, not yet escaped, and the classes of its look; `link` is the anchor of a place on the page.

    `shares` are what was and what is, in parts of the most there is: two bars, which the text names.
    """

    text: str
    look: str = ""
    is_code: bool = False
    link: str = ""
    shares: tuple[float, float] | None = None

    def html(self) -> str:
        """Return the cell."""
        inner = escape(self.text) if self.shares is None else _lying_bars(self.text, self.shares)
        inner = f"<code>{inner}</code>" if self.is_code else inner
        inner = f'<a href="#{escape(self.link)}">{inner}</a>' if self.link else inner
        return f'<td class="{self.look}">{inner}</td>' if self.look else f"<td>{inner}</td>"


def _lying_bars(text: str, shares: tuple[float, float]) -> str:
    then, now = (round(100 * share, 1) for share in shares)
    return (
        f'<svg class="bars" viewBox="0 0 100 20" preserveAspectRatio="none" role="img" aria-label="{escape(text)}">'
        f'<rect class="then" x="0" y="1" width="{then}" height="8"/>'
        f'<rect class="now" x="0" y="11" width="{now}" height="8"/></svg>'
    )


def standing_bars(pairs: Sequence[tuple[str, int, int]]) -> str:
    """Return a plot of two bars each, what was and what is, scaled to the highest; each names itself."""
    if not pairs:
        return sentence("Nothing to show.")
    highest = max(1, *(max(then, now) for _, then, now in pairs))
    each = 1_000 / len(pairs)
    parts = []
    for place, (name, *values) in enumerate(pairs):
        for side, (value, look) in enumerate(zip(values, ("then", "now"), strict=True)):
            height, title = 100 * value / highest, escape(f"{name}: {value:,} {look}")
            parts.append(
                f'<rect class="{look}" x="{(place + 0.4 * side) * each:.1f}" y="{100 - height:.1f}"'
                f' width="{0.38 * each:.1f}" height="{height:.1f}"><title>{title}</title></rect>'
            )
    first, last = escape(pairs[0][0]), escape(pairs[-1][0])
    return (
        f'<svg class="bars" viewBox="0 0 1000 100" preserveAspectRatio="none" role="img"'
        f' aria-label="{first} to {last}, highest {highest:,}">{"".join(parts)}</svg>'
        f'<p class="ends"><span>{first}</span><span>highest: {highest:,}</span><span>{last}</span></p>'
    )


def key_to_bars() -> str:
    """Return which bar is which."""
    return '<p><span class="key then"></span>as it was decided<span class="key now"></span>by these rules</p>'


def page(title: str, body: Iterable[str]) -> str:
    """Return a whole page: no scripts, nothing loaded from anywhere. The body is HTML."""
    return _PAGE.format(title=escape(title), style=_STYLE, body="\n".join(body))


def table(heads: Sequence[str], rows: Iterable[Sequence[Cell]], total: Sequence[Cell] = ()) -> str:
    """Return a table; a head that ends with `#` stands over numbers."""
    head = "".join(
        f'<th class="number">{escape(name[:-1])}</th>' if name.endswith("#") else f"<th>{escape(name)}</th>"
        for name in heads
    )
    body = "".join(f"<tr>{''.join(cell.html() for cell in row)}</tr>" for row in rows)
    body += f'<tr class="total">{"".join(cell.html() for cell in total)}</tr>' if total else ""
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def facts(named: Mapping[str, Cell | str]) -> str:
    """Return names and what they are."""
    lines = []
    for name, cell in named.items():
        text = escape(cell if isinstance(cell, str) else cell.text)
        if isinstance(cell, Cell):
            text = f"<code>{text}</code>" if cell.is_code else f'<span class="{cell.look}">{text}</span>'
        lines.append(f"<dt>{escape(name)}</dt><dd>{text}</dd>")
    return f"<dl>{''.join(lines)}</dl>"


def sentence(text: str, look: str = "") -> str:
    """Return a paragraph."""
    return f'<p class="{look}">{escape(text)}</p>' if look else f"<p>{escape(text)}</p>"


def heading(level: int, text: str, anchor: str = "") -> str:
    """Return a heading, with a place to link to."""
    place = f' id="{escape(anchor)}"' if anchor else ""
    return f"<h{level}{place}>{escape(text)}</h{level}>"
