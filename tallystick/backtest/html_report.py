"""A comparison of rules as one HTML file: no scripts, nothing loaded from anywhere, plots drawn here."""

from services.fraud.domain.explanation import dollars
from tallystick.backtest.comparison import VERDICTS, Comparison
from tallystick.reconciliation.html_page import Cell, heading, key_to_bars, page, sentence, standing_bars, table


def html_report(name: str, first: str, last: str, comparison: Comparison) -> str:
    """Return the page."""
    said = f"{comparison.changed:,} of {comparison.decisions:,} decisions would come out otherwise."
    body = [
        heading(1, f"Back-test of {name}"),
        sentence(f"Decisions from {first} to {last}, UTC, made again from the features they stored.", "lead"),
        sentence(said if comparison.decisions else "There is no decision in these days to make again.", "verdict"),
        sentence(f"Not judged, being older than a feature these rules ask for: {comparison.unjudged.decisions:,}."),
    ]
    if comparison.decisions:
        body += [
            heading(2, "Verdicts"),
            _matrix(comparison),
            heading(2, "Alerts a day"),
            sentence("Transfers that a person would look at, and those that rules would block."),
            key_to_bars(),
            standing_bars([(str(day), then, now) for day, (then, now) in sorted(comparison.alerts.items())]),
            heading(2, "Rules"),
            key_to_bars(),
            _rules(comparison),
            *_samples(comparison),
        ]
    return page(f"Back-test of {name}", body)


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
    rule_ids = _rule_ids(comparison)
    most = max([1, *comparison.old_hits.values(), *(_hits(comparison, rule_id) for rule_id in rule_ids)])
    for rule_id in rule_ids:
        hits, muted, errors = (comparison.new_rules.get((rule_id, said)) for said in ("hit", "muted", "error"))
        then, now = comparison.old_hits[rule_id], _hits(comparison, rule_id)
        figures = [
            f"{then:,}",
            f"{now:,}",
            dollars(hits.usd_minor if hits else 0),
            f"{muted.decisions if muted else 0:,}",
            f"{errors.decisions if errors else 0:,}",
        ]
        bars = Cell(f"hits: {then:,} then, {now:,} now", shares=(then / most, now / most))
        rows.append([Cell(rule_id, is_code=True), bars, *(Cell(figure, "number") for figure in figures)])
    return table(("rule", "", "hits then#", "hits now#", "worth now#", "muted#", "errors#"), rows)


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
