"""Second factors in and out of `accounts.authenticators` and `accounts.recovery_codes`.

An authenticator's secret is sealed under the customer's own key. Whoever writes here has locked the customer first.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.personal.sealing import sealer_of
from services.accounts.domain.second_factor import Totp
from services.accounts.store.tables import AUTHENTICATORS, CUSTOMERS, RECOVERY_CODES

_FIELD: Final = "totp_secret"


async def find_totp(connection: AsyncConnection, user_id: str) -> Totp | None:
    """Return the customer's authenticator, confirmed or not."""
    statement = select(AUTHENTICATORS, CUSTOMERS.c.personal_key).join(
        CUSTOMERS, CUSTOMERS.c.user_id == AUTHENTICATORS.c.user_id
    )
    row = (await connection.execute(statement.where(AUTHENTICATORS.c.user_id == user_id))).first()
    if row is None:
        return None
    secret = sealer_of(connection).open(row.personal_key, user_id, _FIELD, row.sealed_secret)
    return Totp(secret, row.confirmed_at is not None, row.last_step)


async def store_unconfirmed(connection: AsyncConnection, user_id: str, secret: str) -> None:
    """Store a fresh secret in place of one that was never confirmed."""
    customer = await connection.execute(select(CUSTOMERS.c.personal_key).where(CUSTOMERS.c.user_id == user_id))
    sealed = sealer_of(connection).seal(customer.scalar_one(), user_id, _FIELD, secret)
    statement = upsert(AUTHENTICATORS).values(user_id=user_id, sealed_secret=sealed)
    await connection.execute(
        statement.on_conflict_do_update(index_elements=["user_id"], set_={"sealed_secret": sealed})
    )


async def confirm_totp(connection: AsyncConnection, user_id: str, now: datetime) -> None:
    """From now on the authenticator counts."""
    await connection.execute(update(AUTHENTICATORS).where(AUTHENTICATORS.c.user_id == user_id).values(confirmed_at=now))


async def use_step(connection: AsyncConnection, user_id: str, step: int) -> bool:
    """Note that the code of this time step was used; False when it, or a later one, was used before."""
    unused = (AUTHENTICATORS.c.user_id == user_id, AUTHENTICATORS.c.last_step < step)
    statement = update(AUTHENTICATORS).where(*unused).values(last_step=step).returning(AUTHENTICATORS.c.user_id)
    return (await connection.execute(statement)).first() is not None


async def insert_recovery_codes(connection: AsyncConnection, user_id: str, hashes: Sequence[bytes]) -> None:
    """Store fresh recovery codes."""
    await connection.execute(insert(RECOVERY_CODES), [{"user_id": user_id, "code_hash": one} for one in hashes])


async def use_recovery_code(connection: AsyncConnection, user_id: str, code_hash: bytes, now: datetime) -> bool:
    """Use a code up; False when it is none of his, or was used before."""
    unused = (
        RECOVERY_CODES.c.user_id == user_id,
        RECOVERY_CODES.c.code_hash == code_hash,
        RECOVERY_CODES.c.used_at.is_(None),
    )
    statement = update(RECOVERY_CODES).where(*unused).values(used_at=now).returning(RECOVERY_CODES.c.user_id)
    return (await connection.execute(statement)).first() is not None


async def delete_second_factor(connection: AsyncConnection, user_id: str) -> bool:
    """Forget authenticator and recovery codes; False when there was none."""
    await connection.execute(delete(RECOVERY_CODES).where(RECOVERY_CODES.c.user_id == user_id))
    statement = delete(AUTHENTICATORS).where(AUTHENTICATORS.c.user_id == user_id).returning(AUTHENTICATORS.c.user_id)
    return (await connection.execute(statement)).first() is not None
