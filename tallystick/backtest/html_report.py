"""A comparison of rules as one HTML file: no scripts, nothing loaded from anywhere, plots drawn here."""

from collections.abc import Sequence
from html import escape

from services.fraud.domain.explanation import dollars
from tallystick.backtest.comparison import VERDICTS, Comparison
from tallystick.reconciliation.html_page import Cell, heading, page, sentence, table

_WIDTH, _HEIGHT, _GAP = 960, 220, 24
_THEN, _NOW = "#56626e", "#a6192e"


def html_report(name: str, first: str, last: str, comparison: Comparison) -> str:
    """Return the page."""
    said = f"{comparison.changed:,} of {comparison.decisions:,} decisions would come out otherwise."
    body = [
        heading(1, f"Back-test of {name}"),
        sentence(f"Decisions from {first} to {last}, UTC, made again from the features they stored.", "lead"),
        sentence(said, "verdict ok"),
        sentence(f"Not judged, being older than a feature these rules ask for: {comparison.unjudged.decisions:,}."),
        heading(2, "Verdicts"),
        _matrix(comparison),
        heading(2, "Alerts a day"),
        sentence("Transfers that a person would look at, and those that rules would block: grey then, red now."),
        bars([(str(day), then, now) for day, (then, now) in sorted(comparison.alerts.items())]),
        heading(2, "Rules"),
        sentence("Hits: grey then, red now."),
        bars(
            [(rule_id, comparison.old_hits[rule_id], _hits(comparison, rule_id)) for rule_id in _rule_ids(comparison)]
        ),
        _rules(comparison),
        *_samples(comparison),
    ]
    return page(f"Back-test of {name}", body)


def bars(pairs: Sequence[tuple[str, int, int]]) -> str:
    """Return a plot of two bars each, then and now, scaled to the highest; each names itself when pointed at."""
    if not pairs:
        return sentence("Nothing to show.")
    highest = max(1, *(max(then, now) for _, then, now in pairs))
    each = _WIDTH / len(pairs)
    parts = []
    for place, (name, then, now) in enumerate(pairs):
        for side, (value, colour) in enumerate(((then, _THEN), (now, _NOW))):
            height = value / highest * (_HEIGHT - _GAP)
            left = place * each + side * each * 0.4
            title = escape(f"{name}: {value:,} {'now' if side else 'then'}")
            parts.append(
                f'<rect x="{left:.1f}" y="{_HEIGHT - height:.1f}" width="{each * 0.38:.1f}" height="{height:.1f}"'
                f' fill="{colour}"><title>{title}</title></rect>'
            )
    label = escape(f"{pairs[0][0]} to {pairs[-1][0]}, highest {highest:,}")
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="100%" role="img" aria-label="{label}">'
        f'<text x="0" y="14" font-size="13">{label}</text>{"".join(parts)}</svg>'
    )


def _matrix(comparison: Comparison) -> str:
    rows = []
    for old in VERDICTS:
        cells = [Cell(old)]
        for new in VERDICTS:
            total = comparison.cells.get((old, new))
            text = f"{total.decisions:,} · {dollars(total.usd_minor)}" if total else "-"
            cells.append(Cell(text, "number differs" if total and old != new else "number"))
        rows.append(cells)
    return table(("was / would be", *(f"{verdict}#" for verdict in VERDICTS)), rows)


def _rule_ids(comparison: Comparison) -> list[str]:
    return sorted({*comparison.old_hits, *(rule_id for rule_id, _ in comparison.new_rules)})


def _hits(comparison: Comparison, rule_id: str) -> int:
    total = comparison.new_rules.get((rule_id, "hit"))
    return total.decisions if total else 0


def _rules(comparison: Comparison) -> str:
    rows = []
    for rule_id in _rule_ids(comparison):
        hits, muted, errors = (comparison.new_rules.get((rule_id, said)) for said in ("hit", "muted", "error"))
        figures = [
            f"{comparison.old_hits[rule_id]:,}",
            f"{hits.decisions if hits else 0:,}",
            dollars(hits.usd_minor if hits else 0),
            f"{muted.decisions if muted else 0:,}",
            f"{errors.decisions if errors else 0:,}",
        ]
        rows.append([Cell(rule_id, is_code=True), *(Cell(figure, "number") for figure in figures)])
    return table(("rule", "hits then#", "hits#", "worth#", "muted#", "errors#"), rows)


def _samples(comparison: Comparison) -> list[str]:
    parts = []
    for old, new in sorted(comparison.samples):
        rows = [
            [
                Cell(one.transfer_id, is_code=True),
                Cell(dollars(one.usd_minor), "number"),
                Cell(f"{one.points:,}", "number"),
                Cell(", ".join(one.rules)),
            ]
            for one in comparison.sample(old, new)
        ]
        parts += [heading(2, f"{old} → {new}, the largest"), table(("transfer", "worth#", "points#", "rules"), rows)]
    return parts
