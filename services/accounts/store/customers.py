"""Customers in and out of `accounts.customers`. The database hides who was deleted from whatever is asked here."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, any_, func, literal, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.ids import is_id
from libs.common.invariants import check
from libs.common.personal.sealing import sealer_of
from services.accounts.domain.customer import Customer, Profile
from services.accounts.store.tables import CUSTOMERS

_COLUMNS: Final = (
    CUSTOMERS.c.user_id,
    CUSTOMERS.c.personal_key,
    CUSTOMERS.c.email_sealed,
    CUSTOMERS.c.full_name_sealed,
    CUSTOMERS.c.roles,
    CUSTOMERS.c.profile,
    CUSTOMERS.c.status,
    CUSTOMERS.c.kind,
    CUSTOMERS.c.email_verified_at,
    CUSTOMERS.c.version,
    CUSTOMERS.c.registered_at,
    CUSTOMERS.c.changed_at,
)


async def insert_customer(connection: AsyncConnection, customer: Customer, password_hash: str) -> bool:
    """Store a new customer; False when the e-mail belongs to somebody already."""
    sealer = sealer_of(connection)
    key = sealer.new_key(customer.user_id)
    statement = (
        insert(CUSTOMERS)
        .values(
            user_id=customer.user_id,
            personal_key=key,
            email_hash=sealer.search_hash(customer.email),
            email_sealed=sealer.seal(key, customer.user_id, "email", customer.email),
            password_hash=password_hash,
            full_name_sealed=sealer.seal(key, customer.user_id, "full_name", customer.full_name),
            roles=sorted(customer.roles),
            profile=customer.profile,
            status=customer.status,
            kind=customer.kind,
            email_verified_at=customer.email_verified_at,
            version=customer.version,
            registered_at=customer.registered_at,
            changed_at=customer.changed_at,
        )
        .on_conflict_do_nothing(index_elements=[CUSTOMERS.c.email_hash], index_where=CUSTOMERS.c.deleted_at.is_(None))
        .returning(CUSTOMERS.c.user_id)
    )
    return (await connection.execute(statement)).first() is not None


async def find_customer(connection: AsyncConnection, user_id: str) -> Customer | None:
    """Return the customer, unlocked; a text that is no id is nobody's."""
    if not is_id(user_id):
        return None
    row = (await connection.execute(select(*_COLUMNS).where(CUSTOMERS.c.user_id == user_id))).first()
    return _customer(connection, row) if row else None


async def lock_customer(connection: AsyncConnection, user_id: str) -> Customer | None:
    """Return the customer and keep others from changing him or opening accounts for him until the commit."""
    if not is_id(user_id):
        return None
    statement = select(*_COLUMNS).where(CUSTOMERS.c.user_id == user_id)
    # FOR NO KEY UPDATE: rows that point at him (sessions, accounts) may still be written.
    row = (await connection.execute(statement.with_for_update(key_share=True))).first()
    return _customer(connection, row) if row else None


async def lock_admins(connection: AsyncConnection) -> frozenset[str]:
    """Return the ids of all active admins, and keep others from changing them until the commit."""
    statement = select(CUSTOMERS.c.user_id).where(
        literal("admin") == any_(CUSTOMERS.c.roles), CUSTOMERS.c.status == "active"
    )
    rows = await connection.execute(statement.order_by(CUSTOMERS.c.user_id).with_for_update(key_share=True))
    return frozenset(row.user_id for row in rows)


async def lock_creating_admins(connection: AsyncConnection) -> None:
    """Let one at a time create an admin until the commit: where there is none yet, no row would keep two apart."""
    await connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended("accounts.create-admin", 0))))


async def find_credentials(connection: AsyncConnection, email: str) -> tuple[Customer, str] | None:
    """Return the customer of the normalised e-mail and his password's hash."""
    # Machines have an address only to be told apart: no password opens them and no mail reaches them.
    people = (CUSTOMERS.c.email_hash == sealer_of(connection).search_hash(email), CUSTOMERS.c.kind == "person")
    statement = select(*_COLUMNS, CUSTOMERS.c.password_hash).where(*people)
    row = (await connection.execute(statement)).first()
    return (_customer(connection, row), row.password_hash) if row else None


async def update_profile(connection: AsyncConnection, user_id: str, profile: Profile, now: datetime) -> Customer:
    """Store the profile as a new version and return the customer as he is then."""
    values = {"profile": profile, "version": CUSTOMERS.c.version + 1, "changed_at": now}
    statement = update(CUSTOMERS).where(CUSTOMERS.c.user_id == user_id).values(values).returning(*_COLUMNS)
    return _customer(connection, (await connection.execute(statement)).one())


async def update_roles(connection: AsyncConnection, user_id: str, roles: frozenset[str]) -> Customer:
    """Store the roles and return the customer as he is then; the bus does not hear of roles, so no new version."""
    statement = update(CUSTOMERS).where(CUSTOMERS.c.user_id == user_id).values(roles=sorted(roles))
    return _customer(connection, (await connection.execute(statement.returning(*_COLUMNS))).one())


async def update_full_name(connection: AsyncConnection, user_id: str, full_name: str) -> Customer:
    """Store the name and return the customer as he is then; the bus carries no names, so no new version."""
    customer = await connection.execute(select(CUSTOMERS.c.personal_key).where(CUSTOMERS.c.user_id == user_id))
    sealed = sealer_of(connection).seal(customer.scalar_one(), user_id, "full_name", full_name)
    statement = update(CUSTOMERS).where(CUSTOMERS.c.user_id == user_id).values(full_name_sealed=sealed)
    return _customer(connection, (await connection.execute(statement.returning(*_COLUMNS))).one())


async def update_email(connection: AsyncConnection, user_id: str, email: str, now: datetime) -> bool:
    """Store an e-mail that the customer has proved; False, and nothing stored, when somebody else has registered it."""
    key = await connection.execute(select(CUSTOMERS.c.personal_key).where(CUSTOMERS.c.user_id == user_id))
    sealer = sealer_of(connection)
    values = {
        "email_hash": sealer.search_hash(email),
        "email_sealed": sealer.seal(key.scalar_one(), user_id, "email", email),
        "email_verified_at": now,
    }
    try:
        async with connection.begin_nested():
            await connection.execute(update(CUSTOMERS).where(CUSTOMERS.c.user_id == user_id).values(values))
    except IntegrityError as failure:
        if "customers_email_unique" not in str(failure.orig):
            raise
        return False
    return True


async def mark_closed(connection: AsyncConnection, user_id: str, now: datetime) -> Customer:
    """Store that the relationship has ended, as a new version, and return the customer as he is then."""
    values = {"status": "closed", "version": CUSTOMERS.c.version + 1, "changed_at": now}
    statement = update(CUSTOMERS).where(CUSTOMERS.c.user_id == user_id).values(values).returning(*_COLUMNS)
    return _customer(connection, (await connection.execute(statement)).one())


async def mark_email_verified(connection: AsyncConnection, user_id: str, now: datetime) -> None:
    """Store that the customer has proved his e-mail; the bus does not hear of it, so no new version."""
    await connection.execute(update(CUSTOMERS).where(CUSTOMERS.c.user_id == user_id).values(email_verified_at=now))


async def update_password(connection: AsyncConnection, user_id: str, password_hash: str) -> None:
    """Store the hash of another password; the bus does not hear of passwords, so no new version."""
    await connection.execute(
        update(CUSTOMERS).where(CUSTOMERS.c.user_id == user_id).values(password_hash=password_hash)
    )


async def read_changed_customers(
    connection: AsyncConnection, after: tuple[datetime, str], limit: int
) -> Sequence[Customer]:
    """Return a page of customers behind (changed_at, user_id), oldest change first."""
    place = tuple_(CUSTOMERS.c.changed_at, CUSTOMERS.c.user_id)
    statement = select(*_COLUMNS).where(place > after)
    statement = statement.order_by(CUSTOMERS.c.changed_at, CUSTOMERS.c.user_id).limit(limit)
    return [_customer(connection, row) for row in await connection.execute(statement)]


async def require_same_keys(connection: AsyncConnection) -> None:
    """Let pass master keys by which the newest customer opens and is found. Raises: InvariantBroken."""
    statement = select(*_COLUMNS, CUSTOMERS.c.email_hash).where(CUSTOMERS.c.email_hash.is_not(None))
    row = (await connection.execute(statement.order_by(CUSTOMERS.c.user_id.desc()).limit(1))).first()
    if row is not None:
        found_by = sealer_of(connection).search_hash(_customer(connection, row).email)
        check(found_by == row.email_hash, "e-mails are found by the last of the master keys", user_id=row.user_id)


async def seal_stored_customers(connection: AsyncConnection, limit: int) -> int:
    """Seal names and e-mails that were stored in plain text before, and return how many customers' that were."""
    sealer = sealer_of(connection)
    plain = select(CUSTOMERS.c.user_id, CUSTOMERS.c.email, CUSTOMERS.c.full_name).where(CUSTOMERS.c.email.is_not(None))
    rows = (await connection.execute(plain.limit(limit).with_for_update(key_share=True))).all()
    for row in rows:
        key = sealer.new_key(row.user_id)
        sealed = {
            "personal_key": key,
            "email_hash": sealer.search_hash(row.email),
            "email_sealed": sealer.seal(key, row.user_id, "email", row.email),
            "full_name_sealed": sealer.seal(key, row.user_id, "full_name", row.full_name),
            "email": None,
            "full_name": None,
        }
        await connection.execute(update(CUSTOMERS).where(CUSTOMERS.c.user_id == row.user_id).values(sealed))
    return len(rows)


def _customer(connection: AsyncConnection, row: Row[*tuple[Any, ...]]) -> Customer:
    def opened(field: str, sealed: bytes | None) -> str:
        # Of who was erased neither is left.
        return "" if sealed is None else sealer_of(connection).open(row.personal_key, row.user_id, field, sealed)

    return Customer(
        user_id=row.user_id,
        email=opened("email", row.email_sealed),
        full_name=opened("full_name", row.full_name_sealed),
        roles=frozenset(row.roles),
        profile=row.profile,
        status=row.status,
        kind=row.kind,
        email_verified_at=row.email_verified_at,
        version=row.version,
        registered_at=row.registered_at,
        changed_at=row.changed_at,
    )
