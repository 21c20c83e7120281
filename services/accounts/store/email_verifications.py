"""Outstanding proofs in and out of `accounts.email_verifications`, one a customer."""

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.accounts.domain.email_verification import EmailVerification
from services.accounts.store.tables import EMAIL_VERIFICATIONS


async def find_email_verification(connection: AsyncConnection, user_id: str) -> EmailVerification | None:
    """Return what is outstanding for the customer."""
    statement = select(EMAIL_VERIFICATIONS).where(EMAIL_VERIFICATIONS.c.user_id == user_id)
    row = (await connection.execute(statement)).first()
    return EmailVerification(**row._mapping) if row else None  # noqa: SLF001 -- SQLAlchemy's public name


async def save_email_verification(connection: AsyncConnection, verification: EmailVerification) -> None:
    """Store what is outstanding; the token mailed before stops working."""
    values = asdict(verification)
    statement = insert(EMAIL_VERIFICATIONS).values(values)
    await connection.execute(
        statement.on_conflict_do_update(index_elements=[EMAIL_VERIFICATIONS.c.user_id], set_=values)
    )


async def use_verification_token(connection: AsyncConnection, token_hash: bytes, now: datetime) -> str | None:
    """Take a token that works out of the table and return whose it was; of two uses at once one gets it."""
    statement = delete(EMAIL_VERIFICATIONS).where(
        EMAIL_VERIFICATIONS.c.token_hash == token_hash, EMAIL_VERIFICATIONS.c.expires_at > now
    )
    return (await connection.execute(statement.returning(EMAIL_VERIFICATIONS.c.user_id))).scalar_one_or_none()
