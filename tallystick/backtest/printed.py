"""A comparison of rules in the terminal."""

from rich.console import Console
from rich.table import Table

from services.fraud.domain.explanation import dollars
from tallystick.backtest.comparison import VERDICTS, Comparison

_SHOWN_MAX = 5


def print_comparison(console: Console, name: str, comparison: Comparison, seconds: float) -> None:
    """Print what would change: verdicts, rules, alerts a day, and the largest of each change."""
    rate = comparison.decisions / seconds if seconds else 0.0
    console.print(f"{comparison.decisions:,} decisions made again by {name} in {seconds:.1f} s, {rate:,.0f} a second")
    if comparison.unjudged.decisions:
        console.print(f"{comparison.unjudged.decisions:,} are older than a feature these rules ask for: not judged")
    console.print(f"{comparison.changed:,} would come out otherwise")
    matrix = Table("was / would be", *VERDICTS, title="Verdicts")
    for old in VERDICTS:
        totals = [comparison.cells.get((old, new)) for new in VERDICTS]
        matrix.add_row(old, *(f"{one.decisions:,}\n{dollars(one.usd_minor)}" if one else "-" for one in totals))
    console.print(matrix)
    console.print(_rules(comparison))
    days = Table("day", "alerts then", "now", title="Alerts a day: reviews, and blocks by rules")
    for day, (then, now) in sorted(comparison.alerts.items()):
        days.add_row(str(day), f"{then:,}", f"{now:,}")
    console.print(days)
    for old, new in sorted(comparison.samples):
        sample = Table("transfer", "worth", "points", "rules", title=f"{old} → {new}, the largest")
        for one in comparison.sample(old, new)[:_SHOWN_MAX]:
            sample.add_row(one.transfer_id, dollars(one.usd_minor), f"{one.points:,}", ", ".join(one.rules))
        console.print(sample)


def _rules(comparison: Comparison) -> Table:
    rules = Table("rule", "hits then", "hits", "worth", "muted", "errors", title="Rules")
    for rule_id in sorted({*comparison.old_hits, *(rule_id for rule_id, _ in comparison.new_rules)}):
        hits, muted, errors = (comparison.new_rules.get((rule_id, said)) for said in ("hit", "muted", "error"))
        rules.add_row(
            rule_id,
            f"{comparison.old_hits[rule_id]:,}",
            f"{hits.decisions:,}" if hits else "0",
            dollars(hits.usd_minor if hits else 0),
            f"{muted.decisions:,}" if muted else "0",
            f"{errors.decisions:,}" if errors else "0",
        )
    return rules
