"""What `tallystick reconcile --repair` does about differences: balances first, then what others show of the ledger."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final, NamedTuple

import typer
from rich.console import Console
from rich.text import Text

from libs.common.clock import monotonic_seconds, system_clock
from libs.common.ids import first_id_at
from services.ledger.domain.reconciliation import Reconciliation
from services.ledger.use_cases.compare_projections import COMPARISONS
from services.ledger.use_cases.rebuild_projections import sentences
from services.ledger.use_cases.reconcile_books import GRACE_SECONDS
from services.ledger.use_cases.verify_ledger import CannotVerify
from tallystick.reconciliation.balances import accounts_repair, repair_sentences
from tallystick.reconciliation.run import Tools
from tallystick.stack.administrators import BY_HELP, at_the_console
from tallystick.stack.errors import StackError, TheyDiffer
from tallystick.stack.ledger_trust import signing_key_file

_REBUILT_PATIENCE_SECONDS: Final = 30.0
_PAUSE_SECONDS: Final = 1.0


class Leave(NamedTuple):
    """Who repairs and why, as the journal keeps it of a balance; `yes`: he need not be asked."""

    yes: bool
    actor_id: str
    reason: str


async def repair_what_differs(
    tools: Tools, run: Reconciliation, dsn: str, folder: Path, leave: Leave
) -> Reconciliation:
    """Mend what can be mended, after asking, and reconcile again.

    Raises: TheyDiffer when leave is not given, or the books do not verify; StackError when a balance would be set and
    nobody is named; Conflict (books_unproven, ledger_moved).
    """
    if await _repair_balances(dsn, folder, leave):
        run = await tools.reconcile("all")
    told = {comparison.name for comparison in COMPARISONS} | {"published"}
    broken = [outcome.name for outcome in run.outcomes if outcome.differences and outcome.name not in told]
    broken = [name for name in broken if not name.endswith("_outbox")]
    if broken:
        raise TheyDiffer(
            f"the books themselves do not hold together ({', '.join(broken)}): nothing is told again from them. "
            "Run `tallystick verify`; docs/runbooks/TrialBalanceDrift.md goes on"
        )
    return run if run.agrees else await _rebuild(tools, run, leave)


async def _repair_balances(dsn: str, folder: Path, leave: Leave) -> bool:
    """Set accounts to what the journal proves. Returns whether there was one to set."""
    if not signing_key_file(folder).exists():
        _say([f"balances are left as they are: {folder} holds no key that signs a record"])
        return False
    async with accounts_repair(dsn, folder) as accounts:
        try:
            plan = await accounts.plan()
            if not plan.accounts:
                return False
            said = repair_sentences(plan)
            if not leave.actor_id:
                _say(said)
                raise StackError(f"nothing was changed, because --by is missing. {BY_HELP}")
            _ask(said, leave)
            asker = at_the_console(leave.actor_id, "tallystick reconcile --repair")
            found = await accounts.carry_out(plan, asker=asker, reason=leave.reason)
        except CannotVerify as failure:
            raise StackError(f"no balance is repaired, because nothing could be verified: {failure}") from failure
    if not found.is_good:
        raise TheyDiffer(f"{len(found.findings)} finding(s) are left; run `tallystick verify`")
    return True


async def _rebuild(tools: Tools, run: Reconciliation, leave: Leave) -> Reconciliation:
    """Have told again what differs, then look until it agrees or patience ends."""
    upto = first_id_at(system_clock() - timedelta(seconds=GRACE_SECONDS))
    plan = await tools.rebuild.plan(upto=upto, grace_seconds=GRACE_SECONDS)
    said = [*sentences(plan), *[f"  {difference.subject}: {difference.text}" for difference in plan.left]]
    if plan.is_empty:
        _say(said)
        return run
    _ask(said, leave)
    await tools.rebuild.carry_out(plan)
    deadline = monotonic_seconds() + _REBUILT_PATIENCE_SECONDS
    while True:
        await asyncio.sleep(_PAUSE_SECONDS)
        left = await tools.rebuild.plan(upto=upto, grace_seconds=GRACE_SECONDS)
        if left.is_empty or monotonic_seconds() > deadline:
            return await tools.reconcile("all")


def _ask(said: Sequence[str], leave: Leave) -> None:
    _say(said)
    if not leave.yes and not typer.confirm("Do that?", err=True):
        raise TheyDiffer("nothing was changed")


def _say(said: Sequence[str]) -> None:
    console = Console(stderr=True)
    for sentence in said:
        console.print(Text(sentence))
