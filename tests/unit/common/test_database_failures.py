"""Only what may pass is repeated; what fails again every time must not hold up a stream."""

import asyncpg
import pytest
from asyncpg.exceptions._base import DataError as ClientDataError
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError

from libs.common.db.failures import as_unavailable


@pytest.mark.parametrize(
    "failure",
    [
        asyncpg.DeadlockDetectedError("x"),
        asyncpg.SerializationError("x"),
        asyncpg.LockNotAvailableError("x"),
        asyncpg.QueryCanceledError("x"),
        asyncpg.AdminShutdownError("x"),
        asyncpg.ConnectionDoesNotExistError("x"),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.ReadOnlySQLTransactionError("x"),
        asyncpg.DiskFullError("x"),
        asyncpg.OutOfMemoryError("x"),
        asyncpg.TooManyConnectionsError("x"),
        asyncpg.PostgresIOError("x"),
        asyncpg.InternalClientError("cannot switch to state 12"),
        ConnectionResetError(),
        TimeoutError(),
    ],
)
def test_what_may_pass_is_unavailable_from_the_driver_and_through_sqlalchemy(failure: Exception) -> None:
    assert as_unavailable(failure) is not None
    assert as_unavailable(OperationalError("SELECT 1", {}, failure)) is not None


@pytest.mark.parametrize(
    "failure",
    [
        asyncpg.UniqueViolationError("x"),
        asyncpg.CheckViolationError("x"),
        asyncpg.UndefinedTableError("x"),
        asyncpg.DataError("x"),
        ClientDataError("invalid input for query argument $1: 'no uuid'"),
        ZeroDivisionError(),
    ],
)
def test_what_comes_again_every_time_is_not(failure: Exception) -> None:
    assert as_unavailable(failure) is None
    assert as_unavailable(IntegrityError("SELECT 1", {}, failure)) is None


def test_sqlalchemys_own_name_for_a_bad_argument_does_not_make_it_an_outage() -> None:
    assert as_unavailable(InterfaceError("SELECT 1", {}, ClientDataError("invalid input"))) is None
