"""A reconciliation as one HTML file for an auditor: no scripts, nothing loaded from anywhere, everything escaped."""

from collections.abc import Sequence
from typing import Final

from libs.common.proof.signed_note import Vkey
from services.ledger.domain.reconciliation import AssetBalance, Outcome, Reconciliation, written
from tallystick.reconciliation.html_page import Cell, facts, heading, page, sentence, table
from tallystick.reconciliation.html_proof import LOOKS, checkpoint_of, last_verified, proof_doubts, proof_section
from tallystick.reconciliation.maker import Maker

_LEAD: Final = "What the ledger and the services around it say of the same money, compared."
_FOOTER: Final = """<footer>All figures of the ledger come from one snapshot of its tables. Other services are compared
by digests that they publish of what they show. Whether the ledger's own records are genuine,
<code>tallystick verify</code> answers anew from the signed journal.</footer>"""
_SCOPES: Final = {
    "all": "the whole ledger, and what the other services show of it",
    "books": "the whole ledger",
    "account": "one account",
    "sample": "the accounts that moved last, and what is quick to check of all others",
}
_SECTIONS: Final = {
    "run": "The run",
    "proof": "Checkpoint and verification",
    "balances": "Trial balance",
    "promises": "Promises",
}
_DIFFERENCES: Final = "Differences"


def html_report(run: Reconciliation, vkeys: Sequence[Vkey], maker: Maker) -> str:
    """Return the report. Signatures are verified with these keys; without any they are shown as not checked."""
    body = [
        heading(1, "Reconciliation"),
        sentence(_LEAD, "lead"),
        *_summary(run, vkeys),
        heading(2, _SECTIONS["run"], "run"),
        _run(run, vkeys, maker),
        heading(2, _SECTIONS["proof"], "proof"),
        *proof_section(run, vkeys),
        heading(2, _SECTIONS["balances"], "balances"),
        *_trial_balance(run),
        heading(2, _SECTIONS["promises"], "promises"),
        _promises(run),
        *(_all_differences(run) if run.differences else ()),
        _FOOTER,
    ]
    return page(f"Reconciliation {run.began_at}", body)


def _summary(run: Reconciliation, vkeys: Sequence[Vkey]) -> list[str]:
    """Return what the first screen shows: verdict, doubts, the numbers behind it, and what else there is."""
    skipped = [outcome for outcome in run.outcomes if outcome.verdict == "skipped"]
    differing = [outcome for outcome in run.outcomes if outcome.verdict == "differs"]
    checked = len(run.outcomes) - len(skipped)
    left_out = f" {len(skipped)} check(s) could not be made." if skipped else ""
    if differing:
        cut = "At least " if any(outcome.is_cut for outcome in differing) else ""
        found = f"{cut}{run.differences:,} difference(s), in {len(differing)} of {checked} checks.{left_out}"
    else:
        found = f"No difference in {checked} checks.{left_out}"
    look = "differs" if differing else "skipped" if skipped else "ok"
    off = [asset for asset, rows in _by_asset(run).items() if sum(row.posted_minor for row in rows)]
    named: dict[str, Cell | str] = {
        "Books as of": f"{run.snapshot_at}, {run.journal_size:,} records",
        "Trial balance": Cell(f"not zero: {', '.join(off)}", "differs")
        if off
        else Cell(f"zero in each of {len(_by_asset(run))} assets", "ok"),
        "Last signed verification": last_verified(run, vkeys),
    }
    sections = _SECTIONS | ({"differences": _DIFFERENCES} if differing else {})
    links = [f'<li><a href="#{anchor}">{name}</a></li>' for anchor, name in sections.items()]
    return [
        sentence(found, f"verdict {look}"),
        *(sentence(doubt, "verdict differs") for doubt in proof_doubts(run, vkeys)),
        facts(named),
        f'<nav aria-label="Contents"><ol>{"".join(links)}</ol></nav>',
    ]


def _run(run: Reconciliation, vkeys: Sequence[Vkey], maker: Maker) -> str:
    checkpoint = checkpoint_of(run, vkeys)
    books = f"{run.standing.first_block_at} to {run.standing.last_record_at}" if run.journal_size else "no record yet"
    named: dict[str, Cell | str] = {
        "Ledger": Cell(checkpoint.origin, LOOKS[checkpoint.signature]) if checkpoint else "no checkpoint names it yet",
        "Run": Cell(run.run_id, is_code=True),
        "Made by": f"{maker.user} on {maker.host}, Tallystick {maker.version}",
        "Compared": _SCOPES[run.scope] + (f": {run.account_id}" if run.account_id else ""),
        "Journal written": books,
        "Began": run.began_at,
        "Snapshot": f"{run.snapshot_at}, by the database's clock",
        "Ended": run.ended_at,
        "Left out": f"what changed in the last {run.grace_seconds:.0f} s and may still be on its way to other services",
    }
    return facts(named)


def _by_asset(run: Reconciliation) -> dict[str, list[AssetBalance]]:
    assets = sorted({row.asset for row in run.balances})
    return {asset: [row for row in run.balances if row.asset == asset] for asset in assets}


def _trial_balance(run: Reconciliation) -> list[str]:
    said = sentence("Credits less debits, by type of account: what all accounts of an asset hold sums up to zero.")
    return [said, *(part for asset, rows in _by_asset(run).items() for part in _asset(run, asset, rows))]


def _asset(run: Reconciliation, asset: str, rows: Sequence[AssetBalance]) -> list[str]:
    def money(amount_minor: int, look: str = "") -> Cell:
        return Cell(written(amount_minor, asset, run.exponents), f"number {look}".strip())

    lines = [
        [
            Cell(row.type),
            Cell(f"{row.accounts:,}", "number"),
            *map(money, (row.posted_minor, row.pending_in_minor, row.pending_out_minor)),
        ]
        for row in rows
    ]
    total_minor = sum(row.posted_minor for row in rows)
    total = [
        Cell("sum"),
        Cell(f"{sum(row.accounts for row in rows):,}", "number"),
        money(total_minor, "differs" if total_minor else "ok"),
        money(sum(row.pending_in_minor for row in rows)),
        money(sum(row.pending_out_minor for row in rows)),
    ]
    return [heading(3, asset), table(("type", "accounts#", "posted#", "pending in#", "pending out#"), lines, total)]


def _promises(run: Reconciliation) -> str:
    rows = [
        [
            Cell(outcome.promise),
            Cell(outcome.name, is_code=True, link=_anchor(outcome) if outcome.differences else ""),
            Cell(outcome.scale or "nothing"),
            Cell(_said(outcome), outcome.verdict),
        ]
        for outcome in run.outcomes
    ]
    return table(("promise", "check", "compared", "result"), rows)


def _said(outcome: Outcome) -> str:
    match outcome.verdict:
        case "ok":
            return "kept"
        case "skipped":
            return f"not checked: {outcome.skipped}"
        case _:
            return f"{len(outcome.differences):,}{' and more' if outcome.is_cut else ''} differ"


def _anchor(outcome: Outcome) -> str:
    return f"check-{outcome.name}"


def _all_differences(run: Reconciliation) -> list[str]:
    parts = [part for outcome in run.outcomes if outcome.differences for part in _differences(outcome)]
    return [heading(2, _DIFFERENCES, "differences"), *parts]


def _differences(outcome: Outcome) -> list[str]:
    rows = [
        [Cell(difference.subject, is_code=True), Cell(difference.text)]  # the text has the values of both sides
        for difference in outcome.differences
    ]
    said = f"{outcome.promise}; {outcome.scale} compared, {_said(outcome)}."
    return [heading(3, outcome.name, _anchor(outcome)), sentence(said), table(("about", "what differs"), rows)]
