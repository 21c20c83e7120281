"""Log-ins end: their refresh tokens at once, their access tokens wherever they are known, within two seconds."""

from collections.abc import Sequence
from datetime import datetime

from libs.common.audit.asker import Asker
from libs.common.audit.entry import new_entry
from libs.common.audit.record import record_entries
from libs.common.db.unit_of_work import Transaction
from services.accounts.store.sessions import revoke_families
from services.accounts.use_cases.revoke_credentials import revoke_credentials


async def end_sessions(
    tx: Transaction,
    user_id: str,
    asker: Asker,
    *,
    now: datetime,
    only: Sequence[str] | None = None,
    keep: str | None = None,
) -> Sequence[str]:
    """End log-ins of a customer whom the caller has locked: all, `only` these, or all but `keep`; return which.

    Idempotent by: the log-in; one that has ended is not ended again. Emits: CredentialsRevoked for each.
    """
    ended = await revoke_families(tx.connection, user_id, now=now, only=only, keep=keep)
    for family_id in ended:
        await revoke_credentials(tx, user_id, session_id=family_id, now=now)
    if ended:
        facts = {"customer": user_id}
        entries = [
            new_entry(tx.service, asker, "session.end", at=now, resource=("session", family_id), facts=facts)
            for family_id in ended
        ]
        await record_entries(tx, entries)
        asker.is_recorded = True
    return ended
