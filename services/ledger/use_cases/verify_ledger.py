"""Recompute what the ledger has promised, from the database alone and the keys the caller trusts.

Every record's canonical text, leaf and chain hash; every tile, block and checkpoint; every entry, transfer, settlement,
command and balance, replayed from the records. What differs is named by table, row and field with both values, so that
nobody has to guess what was changed.
"""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from libs.common.errors import InvariantBroken
from libs.common.proof.signed_note import Vkey
from services.ledger.audit.findings import REWRITTEN, CannotVerify, Finding, Scope, Verification
from services.ledger.audit.signed_state import newest_state
from services.ledger.audit.verify_everything import Progress, silent, verify_everything
from services.ledger.audit.verify_parts import verify_account, verify_transfer
from services.ledger.audit.verify_since import verify_since
from services.ledger.audit.verify_slice import verify_slice
from services.ledger.store.audit import Audit, open_audit

_NONSENSE: Final = (ValueError, TypeError, LookupError, ArithmeticError, InvariantBroken, msgspec.MsgspecError)

__all__ = ["CannotVerify", "Finding", "Progress", "Scope", "Verification", "verify_ledger"]


async def verify_ledger(
    dsn: str,
    vkeys: Sequence[Vkey],
    *,
    shard: int = 0,
    monotonic_seconds: Callable[[], float],
    progress: Progress = silent,
    scope: Scope = "full",
    subject_id: str = "",
    turn: int = 0,
) -> Verification:
    """Verify one shard over one snapshot, while the ledger goes on writing.

    `subject_id` is the account or transfer of those scopes, `turn` says which slice of the old a minute's check takes.
    Without a signed state to go on from, and when that state no longer holds, everything is verified.
    Raises: CannotVerify; OSError, asyncpg.PostgresError when the database cannot be read.
    """
    began = monotonic_seconds()
    async with open_audit(dsn, shard) as audit:
        try:
            if scope == "account":
                found = await verify_account(audit, shard, subject_id, progress)
            elif scope == "transfer":
                found = await verify_transfer(audit, vkeys, shard, subject_id)
            elif scope == "full":
                found = await verify_everything(audit, vkeys, shard, progress)
            else:
                found = await _verify_new(audit, vkeys, shard, progress)
                if scope == "minute" and found.scope == "incremental" and found.is_good:
                    found.scope = "minute"
                    await verify_slice(audit, vkeys, shard, turn, found)
        except _NONSENSE as failure:
            found = Verification(scope=scope, size=await audit.end())
            found.find(_nonsense(shard, failure))
    found.seconds = monotonic_seconds() - began
    return found


def _nonsense(shard: int, failure: Exception) -> Finding:
    """Return the finding for what no check was made for: "could not check" would halt nothing, and suit a thief."""
    trace = failure.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else f", in {trace.tb_frame.f_code.co_qualname}"
    return Finding(
        "record_altered", "journal", str(shard), f"what is stored makes no sense: {failure!r}{where}", REWRITTEN
    )


async def _verify_new(audit: Audit, vkeys: Sequence[Vkey], shard: int, progress: Progress) -> Verification:
    state = newest_state(await audit.state_notes(), vkeys, shard)
    if state is None:
        return await verify_everything(audit, vkeys, shard, progress)
    found = await verify_since(audit, vkeys, shard, state, progress)
    if found.is_good:
        return found
    # What was verified before has changed as well, or may have: only the whole journal can name it.
    whole = await verify_everything(audit, vkeys, shard, progress)
    return whole if whole.findings else found
