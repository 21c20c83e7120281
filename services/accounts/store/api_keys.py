"""API keys in and out of `accounts.api_keys`. The database knows a secret only by its SHA-256."""

import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, and_, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.http.api_keys import KeyFacts
from libs.common.ids import is_id
from services.accounts.domain.api_key import ApiKey
from services.accounts.store.tables import API_KEYS, CUSTOMERS

_COLUMNS: Final = tuple(column for column in API_KEYS.c if column.name != "secret_sha256")
_NOTED_EVERY: Final = timedelta(minutes=1)


async def insert_key(connection: AsyncConnection, key: ApiKey, secret_sha256: bytes) -> None:
    """Store a new key."""
    await connection.execute(
        insert(API_KEYS).values(
            key_id=key.key_id,
            user_id=key.user_id,
            name=key.name,
            secret_sha256=secret_sha256,
            scopes=sorted(key.scopes),
            networks=list(key.networks),
            created_at=key.created_at,
            created_by=key.created_by,
            expires_at=key.expires_at,
        )
    )


async def count_living_keys(connection: AsyncConnection, user_id: str, now: datetime) -> int:
    """Return how many keys of the user could be used now."""
    statement = select(func.count()).select_from(API_KEYS).where(API_KEYS.c.user_id == user_id, _is_living(now))
    return int((await connection.execute(statement)).scalar_one())


async def list_living_keys(connection: AsyncConnection, user_id: str, now: datetime) -> Sequence[tuple[str, datetime]]:
    """Return (key id, when it was made) of each key of the user's that could be used now, oldest first."""
    statement = select(API_KEYS.c.key_id, API_KEYS.c.created_at).where(API_KEYS.c.user_id == user_id, _is_living(now))
    return [(row.key_id, row.created_at) for row in await connection.execute(statement.order_by(API_KEYS.c.key_id))]


async def read_keys(connection: AsyncConnection, user_id: str, *, before: str | None, limit: int) -> Sequence[ApiKey]:
    """Return a page of the user's keys, newest first, revoked ones too, behind the key `before`."""
    statement = select(*_COLUMNS).where(API_KEYS.c.user_id == user_id)
    if before is not None:
        statement = statement.where(API_KEYS.c.key_id < before)
    return [_key(row) for row in await connection.execute(statement.order_by(API_KEYS.c.key_id.desc()).limit(limit))]


async def revoke_key(connection: AsyncConnection, user_id: str, key_id: str, now: datetime) -> bool | None:
    """Revoke a key of the user's: True now, False if it was revoked before, None when he has no such key."""
    if not (is_id(key_id) and is_id(user_id)):
        return None
    mine = and_(API_KEYS.c.key_id == key_id, API_KEYS.c.user_id == user_id)
    row = (await connection.execute(select(API_KEYS.c.revoked_at).where(mine).with_for_update())).first()
    if row is None:
        return None
    if row.revoked_at is None:
        await connection.execute(update(API_KEYS).where(mine).values(revoked_at=now))
    return row.revoked_at is None


async def revoke_keys(connection: AsyncConnection, user_id: str, now: datetime) -> None:
    """Revoke every key of the user's."""
    statement = update(API_KEYS).where(API_KEYS.c.user_id == user_id, API_KEYS.c.revoked_at.is_(None))
    await connection.execute(statement.values(revoked_at=now))


async def revoke_keys_known_to(connection: AsyncConnection, user_id: str, now: datetime) -> Sequence[tuple[str, str]]:
    """Revoke the user's keys, and those that he was shown when he made them for a service account.

    Return (holder, key id) of each that is revoked now.
    """
    known = or_(API_KEYS.c.user_id == user_id, API_KEYS.c.created_by == user_id)
    statement = update(API_KEYS).where(known, API_KEYS.c.revoked_at.is_(None)).values(revoked_at=now)
    rows = await connection.execute(statement.returning(API_KEYS.c.user_id, API_KEYS.c.key_id))
    return [(row.user_id, row.key_id) for row in rows]


async def find_living_key(
    connection: AsyncConnection, key_id: str, secret_sha256: str, now: datetime
) -> KeyFacts | None:
    """Return what the key is worth now, and note at most once a minute that it is in use.

    None with another secret, whose hash is given in hexadecimal digits: who knows the id alone does not use the key.
    """
    if not is_id(key_id):
        return None
    holder = select(API_KEYS, CUSTOMERS.c.roles, CUSTOMERS.c.kind).join(
        CUSTOMERS, CUSTOMERS.c.user_id == API_KEYS.c.user_id
    )
    active = and_(CUSTOMERS.c.status == "active", CUSTOMERS.c.deleted_at.is_(None))
    row = (await connection.execute(holder.where(API_KEYS.c.key_id == key_id, _is_living(now), active))).first()
    if row is None or not hmac.compare_digest(row.secret_sha256.hex().encode(), secret_sha256.encode()):
        return None
    if row.last_used_at is None or row.last_used_at <= now - _NOTED_EVERY:
        await connection.execute(update(API_KEYS).where(API_KEYS.c.key_id == key_id).values(last_used_at=now))
    return KeyFacts(
        key_id=row.key_id,
        user_id=row.user_id,
        roles=row.roles,
        scopes=row.scopes,
        networks=row.networks,
        expires_at=row.expires_at.timestamp() if row.expires_at else float(2**53),
        is_machine=row.kind == "machine",
    )


def _is_living(now: datetime) -> Any:
    return and_(API_KEYS.c.revoked_at.is_(None), or_(API_KEYS.c.expires_at.is_(None), API_KEYS.c.expires_at > now))


def _key(row: Row[*tuple[Any, ...]]) -> ApiKey:
    fields = dict(row._mapping)  # noqa: SLF001 -- SQLAlchemy's public name for a row as a mapping
    return ApiKey(**(fields | {"scopes": frozenset(row.scopes), "networks": tuple(row.networks)}))
