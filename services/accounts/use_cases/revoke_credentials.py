"""Credentials end before they run out: every process that verifies them is told, and may ask again later."""

from datetime import datetime

from libs.common.clock import to_rfc3339
from libs.common.contracts.accounts import CredentialsRevoked
from libs.common.contracts.topics import CREDENTIALS
from libs.common.db.unit_of_work import Transaction
from services.accounts.store.api_keys import revoke_keys_known_to
from services.accounts.store.revocations import insert_revocation


async def revoke_credentials(
    tx: Transaction, user_id: str, *, now: datetime, session_id: str = "", key_id: str = ""
) -> None:
    """End what was issued to the user up to now: of one log-in, of one API key, or with neither all of it.

    Part of the caller's transaction, which has locked what it revokes before it asked what time it is: then nothing
    that was issued by the old state can be younger. Emits: CredentialsRevoked. Raises: Unavailable.
    """
    revoked = CredentialsRevoked(user_id=user_id, session_id=session_id, key_id=key_id, occurred_at=to_rfc3339(now))
    await insert_revocation(tx.connection, revoked)
    tx.emit(CREDENTIALS, user_id, revoked)


async def revoke_known_keys(tx: Transaction, user_id: str, *, now: datetime) -> None:
    """End the user's API keys, and those that he was shown when he made them for a service account.

    Part of the caller's transaction. Emits: CredentialsRevoked for each. Raises: Unavailable.
    """
    for holder_id, key_id in await revoke_keys_known_to(tx.connection, user_id, now):
        await revoke_credentials(tx, holder_id, key_id=key_id, now=now)
