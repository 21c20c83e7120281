"""Which database failures may pass and which are ours.

SQLAlchemy hands on deadlocks and serialization failures as a bare DBAPIError, so the class tells nothing: the SQLSTATE
decides (PostgreSQL manual, appendix A).
"""

from typing import Final

import asyncpg
from sqlalchemy.exc import DBAPIError, InterfaceError

from libs.common.errors import Unavailable

_PASSING: Final = frozenset(
    {
        "40001",  # serialization_failure
        "40P01",  # deadlock_detected
        "55P03",  # lock_not_available
        "57014",  # query_canceled: statement_timeout
        "57P01",  # admin_shutdown
        "57P02",  # crash_shutdown
        "57P03",  # cannot_connect_now
        "25P02",  # in_failed_sql_transaction: what is left after a failure nobody saw
        "25006",  # read_only_sql_transaction: a failover under way, or a guard against a full disk
    }
)
_PASSING_CLASSES: Final = frozenset(
    {
        "53",  # insufficient resources: disk_full, out_of_memory, too_many_connections
        "58",  # system error: io_error
    }
)
_LOST: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    ConnectionError,
    OSError,
    TimeoutError,
)

DATABASE_FAILURES: Final = (
    DBAPIError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)
"""All that a statement may raise because of the database; what of it may pass, `as_unavailable` tells."""


def as_unavailable(failure: BaseException) -> Unavailable | None:
    """Return the failure as Unavailable when the same work may succeed later, else None."""
    original = failure.driver_exception if isinstance(failure, DBAPIError) else failure
    if isinstance(original, ValueError):
        # asyncpg's complaints about what it was given, such as a malformed address, are InterfaceErrors too; they
        # come again at every repetition.
        return None
    if isinstance(failure, DBAPIError) and (isinstance(failure, InterfaceError) or failure.connection_invalidated):
        return Unavailable("database_unavailable", "The database connection was lost; try again.")
    if isinstance(original, asyncpg.PostgresError) and _may_pass(original.sqlstate or ""):
        return Unavailable(
            "database_busy", "The database could not finish this now; try again.", sqlstate=original.sqlstate
        )
    if isinstance(original, _LOST):
        return Unavailable("database_unavailable", "The database cannot be reached; try again.")
    return None


def _may_pass(sqlstate: str) -> bool:
    return sqlstate in _PASSING or sqlstate[:2] in _PASSING_CLASSES


def leaves_doubt(failure: BaseException) -> bool:
    """Tell whether nobody knows what the server has done, or will yet do, with what the connection has sent.

    A begin that nobody waits for any longer is begun by the server all the same, once it gets to it, and whatever the
    connection is lent for next would be part of that transaction and never be committed. Such a connection is cut.
    """
    original = failure.driver_exception if isinstance(failure, DBAPIError) else failure
    if isinstance(original, ValueError):
        return False  # asyncpg did not send what it was given
    return not isinstance(original, Exception) or isinstance(original, _LOST)
