"""`<service>.kept_answers`: the first answer to each request with an idempotency key, for all copies of it."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from libs.common.db.unit_of_work import Transaction
from libs.common.errors import Conflict

_LOCK_NOT_AVAILABLE = "55P03"


class RequestKey(NamedTuple):
    """What makes two requests copies of each other; `route` is method and path as the route is written."""

    principal_id: str
    route: str
    idempotency_key: str


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """An answer as it was sent: byte for byte, without its secrets."""

    status: int
    media_type: str
    location: str
    body: bytes


async def lock_key(tx: Transaction, key: RequestKey) -> None:
    """Let one copy of a request work at a time, until its transaction ends; others wait.

    Raises: Conflict request_in_progress after waiting as long as this database lets anybody wait for a lock.
    """
    statement = text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))")
    try:
        # Should two keys have one hash, one of them waits for the other: no more than that.
        await tx.connection.execute(statement, {"key": "\n".join((tx.service, *key))})
    except DBAPIError as failure:
        if getattr(failure.driver_exception, "sqlstate", "") != _LOCK_NOT_AVAILABLE:
            raise
        raise Conflict(
            "request_in_progress",
            "The first request with this key is being worked on; try again.",
            retry_after_seconds=1,
        ) from failure


async def find_answer(tx: Transaction, key: RequestKey) -> tuple[bytes, KeptAnswer] | None:
    """Return (body hash of the request, its answer), if the key was answered."""
    statement = text(f"""
SELECT body_hash, status, media_type, location, body FROM {tx.service}.kept_answers
WHERE (principal_id, route, idempotency_key) = (CAST(:principal_id AS uuid), :route, :idempotency_key)""")  # noqa: S608 -- the service's own schema
    row = (await tx.connection.execute(statement, key._asdict())).first()
    return None if row is None else (row[0], KeptAnswer(*row[1:]))


async def insert_answer(tx: Transaction, key: RequestKey, body_hash: bytes, answer: KeptAnswer) -> None:
    """Keep an answer; it commits with what the request made."""
    statement = text(f"""
INSERT INTO {tx.service}.kept_answers
    (principal_id, route, idempotency_key, body_hash, status, media_type, location, body)
VALUES (CAST(:principal_id AS uuid), :route, :idempotency_key, :body_hash, :status, :media_type, :location, :body)""")  # noqa: S608 -- as above
    names = ("status", "media_type", "location", "body")
    values = dict(zip(names, astuple(answer), strict=True))
    await tx.connection.execute(statement, {**key._asdict(), "body_hash": body_hash, **values})


async def forget_answers(tx: Transaction, principal_ids: Sequence[str]) -> None:
    """Forget what these were answered, because they are erased."""
    statement = text(f"DELETE FROM {tx.service}.kept_answers WHERE principal_id = ANY (CAST(:ids AS uuid[]))")  # noqa: S608 -- as above
    await tx.connection.execute(statement, {"ids": list(principal_ids)})
