"""A reconciliation on the terminal."""

from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.ledger.domain.reconciliation import Reconciliation, written

_SHOWN_MAX: Final = 20
_STYLES: Final = {"ok": "green", "differs": "bold red", "skipped": "yellow"}


def print_run(console: Console, run: Reconciliation) -> None:
    """Print balances, promises and what breaks them."""
    if run.balances and not run.account_id:
        console.print(_balances(run))
    console.print(_promises(run))
    for outcome in run.outcomes:
        for difference in outcome.differences[:_SHOWN_MAX]:
            console.print(Text(f"{outcome.name}: {difference.subject}: {difference.text}"))
        if len(outcome.differences) > _SHOWN_MAX or outcome.is_cut:
            console.print(Text(f"{outcome.name}: there are more; --json and --report list up to 1,000"))
    _print_verdict(console, run)


def _balances(run: Reconciliation) -> Table:
    table = Table("asset", "type", "accounts", "posted", "pending in", "pending out", title="Trial balance")
    for row in run.balances:
        minors = (row.posted_minor, row.pending_in_minor, row.pending_out_minor)
        table.add_row(
            row.asset, row.type, f"{row.accounts:,}", *(written(minor, row.asset, run.exponents) for minor in minors)
        )
    return table


def _promises(run: Reconciliation) -> Table:
    table = Table("check", "promise", "compared", "result")
    for outcome in run.outcomes:
        said = {"ok": "ok", "differs": f"{len(outcome.differences)} differ", "skipped": f"skipped: {outcome.skipped}"}
        result = Text(said[outcome.verdict], style=_STYLES[outcome.verdict])
        table.add_row(outcome.name, outcome.promise, outcome.scale, result)
    return table


def _print_verdict(console: Console, run: Reconciliation) -> None:
    if run.agrees:
        left_out = f"what changed in the last {run.grace_seconds:.0f} s may still be on its way and was left out"
        skipped = any(outcome.skipped for outcome in run.outcomes)
        found = "What could be compared agrees, the rest is unknown" if skipped else "All agree"
        console.print(Text(f"{found}; {left_out}.", style="bold yellow" if skipped else "bold green"), soft_wrap=True)
        return
    console.print(Text(f"They differ: {run.differences} difference(s).", style="bold red"))
    console.print(
        "A service that hangs or was stopped looks like this too: see that all are ready, and try again.\n"
        "If it stays, run `tallystick verify`: the journal says who is right.\n"
        "docs/runbooks/TrialBalanceDrift.md goes on."
    )
