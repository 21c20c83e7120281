"""One promise and the statement that finds what breaks it."""

from typing import Final, NamedTuple

_PARAMETERS: Final = (":accounts", ":grace")


class Promise(NamedTuple):
    """`sql` returns (subject, text) of what breaks the promise.

    In it `:accounts` stands for the accounts to look at (null: all), `:grace` for the seconds that what is new may be
    on its way. `things` is what it looks at, a key of `COUNTED`. An amount in a text is `{minor asset}`, to be written
    with the asset's decimals. `per_account`: it makes sense for some accounts alone. `quick`: it is cheap at any size
    of the ledger.
    """

    name: str
    promise: str
    things: str
    sql: str
    per_account: bool = False
    quick: bool = False

    def bound(self, accounts: list[str] | None, grace_seconds: float) -> tuple[str, list[object]]:
        """Return the statement as asyncpg takes it, with its arguments."""
        return bound(self.sql, accounts, grace_seconds)


def bound(sql: str, accounts: list[str] | None, grace_seconds: float = 0.0) -> tuple[str, list[object]]:
    """Return a statement as asyncpg takes it, with its arguments."""
    arguments = list[object]()
    for name, value in zip(_PARAMETERS, (accounts, grace_seconds), strict=True):
        if name in sql:
            arguments.append(value)
            sql = sql.replace(name, f"${len(arguments)}")
    return sql, arguments
