"""Repair of accounts from the command line: verified with the folder's keys, signed with its own."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from libs.common.clock import monotonic_seconds, system_clock
from libs.common.db.hot import HotConnection
from services.ledger.audit.findings import Verification
from services.ledger.use_cases.record_decisions import Signer
from services.ledger.use_cases.record_verification import RecordVerification
from services.ledger.use_cases.repair_accounts import BalancePlan, RepairAccounts
from services.ledger.use_cases.verify_ledger import verify_ledger
from tallystick.commands.verify import SHARD, hear_witness
from tallystick.stack.ledger_trust import CHECKPOINTS, signing_key, trusted_vkeys
from tallystick.stack.left_outbox import LeftOutbox
from tallystick.stack.stack_secrets import load_or_make_secrets

_NAME: Final = "tallystick-repair"


@asynccontextmanager
async def accounts_repair(dsn: str, folder: Path) -> AsyncIterator[RepairAccounts]:
    """Lend what mends accounts of the folder's ledger. Raises: StackError when the folder has no key."""
    signer = Signer(load_or_make_secrets(folder).ledger_origin, signing_key(folder))
    trusted = trusted_vkeys(folder)

    async def verify() -> Verification:
        found = await verify_ledger(dsn, trusted, shard=SHARD, monotonic_seconds=monotonic_seconds)
        if (folder / CHECKPOINTS).is_dir():
            found.findings += await hear_witness(dsn, folder / CHECKPOINTS, trusted)
        return found

    hot = HotConnection(dsn, _NAME)
    try:
        record = RecordVerification(hot, LeftOutbox("ledger", hot, _NAME), signer, system_clock, SHARD)
        yield RepairAccounts(hot, verify, record, signer, system_clock, SHARD)
    finally:
        await hot.close()


def repair_sentences(plan: BalancePlan) -> Sequence[str]:
    """Return what the plan sets, for a person who is asked for leave."""
    said = [
        f"  {account_id}: {one.field} from {one.stored} to {one.computed}"
        for account_id, fields in plan.accounts.items()
        for one in fields
    ]
    head = f"{len(plan.accounts)} account(s) are set to what the journal proves, each with a record that says so:"
    if not plan.halts:
        return [head, *said, "The ledger goes on meanwhile: somebody has released what was found."]
    return [head, *said, "The ledger is halted for it, until `tallystick release` lets it go on."]
