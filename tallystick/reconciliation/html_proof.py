"""The report's section on what the books' own proof says: the newest checkpoint, and the verifications that ended."""

from collections.abc import Sequence
from html import escape
from typing import Final

from libs.common.proof.signed_note import Vkey
from services.ledger.domain.reconciliation import KeptVerification, Reconciliation
from tallystick.reconciliation.evidence import ReadCheckpoint, Signature, read_checkpoint, read_state_root
from tallystick.reconciliation.html_page import Cell, facts, sentence, table

LOOKS: Final = {"good": "ok", "bad": "differs", "unchecked": "skipped"}
_SIGNATURES: Final[dict[Signature, str]] = {
    "good": "verified",
    "bad": "NOT by a key that is trusted here",
    "unchecked": "not checked: no key was at hand",
}
_WHAT_IT_IS: Final = (
    "A checkpoint names the journal's size and the root hash over all its records, signed by the ledger. Keep the "
    "note: whoever holds it can prove that no record up to that size was changed since."
)
_VERIFIED: Final = (
    "A verification recomputes records, hashes, entries and balances from the journal; tallystick verify does so "
    "again. Shown are the newest, the newest that signed what it saw, and the newest of everything."
)


def checkpoint_of(run: Reconciliation, vkeys: Sequence[Vkey]) -> ReadCheckpoint | None:
    """Return what the newest checkpoint says; None while there is none."""
    return read_checkpoint(run.standing.checkpoint, vkeys) if run.standing.checkpoint else None


def proof_doubts(run: Reconciliation, vkeys: Sequence[Vkey]) -> list[str]:
    """Return what speaks against the books although nothing differs, in sentences."""
    standing, checkpoint = run.standing, checkpoint_of(run, vkeys)
    doubts = []
    if checkpoint is not None and checkpoint.signature == "bad":
        doubts.append(f"The newest checkpoint is not to be believed: {checkpoint.because}.")
    if checkpoint is not None and checkpoint.size != run.journal_size:
        doubts.append(f"The newest checkpoint is of {checkpoint.size:,} records, the books of {run.journal_size:,}.")
    if checkpoint is None and run.journal_size:
        doubts.append("The journal has records, and no checkpoint.")
    if standing.verifications and standing.verifications[0].findings:
        doubts.append(f"The last verification has {standing.verifications[0].findings:,} finding(s).")
    if any(read_state_root(one.note, vkeys)[1] == "bad" for one in standing.verifications if one.note):
        doubts.append("A verification's signed state is not by a key that is trusted here.")
    if standing.open_findings:
        doubts.append(f"{standing.open_findings:,} finding(s) of verifications are open.")
    if standing.is_halted:
        doubts.append("The ledger is halted.")
    return doubts


def last_verified(run: Reconciliation, vkeys: Sequence[Vkey]) -> Cell:
    """Return the result of the newest verification that signed what it saw."""
    signed = next((one for one in run.standing.verifications if one.note), None)
    if signed is None:
        return Cell("there is none", "skipped")
    _, signature = read_state_root(signed.note, vkeys)
    since = max(run.journal_size - signed.size, 0)
    said = f"{_found(signed)}, {signed.finished_at}, {signed.scope}, {signed.size:,} records and {since:,} since then"
    return Cell(f"{said}; signature {_SIGNATURES[signature]}", "differs" if signed.findings else LOOKS[signature])


def proof_section(run: Reconciliation, vkeys: Sequence[Vkey]) -> list[str]:
    """Return the section's paragraphs and tables."""
    checkpoint = checkpoint_of(run, vkeys)
    if checkpoint is None:
        shown = [sentence("There is no checkpoint yet.")]
    else:
        signature = f"{_SIGNATURES[checkpoint.signature]}; {checkpoint.because}"
        named: dict[str, Cell | str] = {
            "Origin": Cell(checkpoint.origin, is_code=True),
            "Size": f"{checkpoint.size:,} records",
            "Root (hex)": Cell(checkpoint.root, is_code=True),
            "Signature": Cell(signature, LOOKS[checkpoint.signature]),
        }
        shown = [sentence(_WHAT_IT_IS), facts(named), f"<pre>{escape(run.standing.checkpoint)}</pre>"]
    rows = [_row(one, vkeys) for one in run.standing.verifications]
    heads = ("ended", "scope", "checked#", "journal's size#", "result", "root it signed", "signature")
    return [*shown, sentence(_VERIFIED), table(heads, rows) if rows else sentence("None has ended yet.", "skipped")]


def _row(one: KeptVerification, vkeys: Sequence[Vkey]) -> list[Cell]:
    root, signature = read_state_root(one.note, vkeys)
    signed = (
        [Cell(root or "-", is_code=True), Cell(_SIGNATURES[signature], LOOKS[signature])]
        if one.note
        else [Cell("-"), Cell("not signed", "skipped")]
    )
    return [
        Cell(one.finished_at),
        Cell(one.scope),
        Cell(f"{one.records:,}", "number"),
        Cell(f"{one.size:,}", "number"),
        Cell(_found(one), "differs" if one.findings else "ok"),
        *signed,
    ]


def _found(one: KeptVerification) -> str:
    return f"{one.findings:,} finding(s)" if one.findings else "good"
