"""What is asked of the book: each question with other accounts, moments and cursors every time."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import md5
from typing import Final, Literal, NamedTuple
from uuid import UUID

from libs.common.clock import from_rfc3339, to_rfc3339

Reader = Literal["owner", "owner of five", "auditor"]
_START: Final = from_rfc3339("2026-01-01T00:00:00Z")
_TRANSFERS: Final = "/api/v1/transfers"


class Request(NamedTuple):
    """One request: a path with its parameters, and who asks."""

    path: str
    parameters: Mapping[str, str | int]
    user_id: str
    role: str = "customer"


def account_id(number: int) -> str:
    """Return the id of an account by its number, as it was filled in."""
    return str(UUID(md5(f"account {number}".encode(), usedforsecurity=False).hexdigest()))


def owner_id(number: int) -> str:
    """Return the id of its owner: accounts 1 to 5 belong to one."""
    number = 1 if 1 <= number <= 5 else number  # noqa: PLR2004 -- as the accounts were filled in
    return str(UUID(md5(f"owner {number}".encode(), usedforsecurity=False).hexdigest()))


@dataclass
class Book:
    """The book's size, and chance to choose from it."""

    accounts: int
    transfers: int
    chance: random.Random

    @property
    def records(self) -> int:
        """How many records its journal has."""
        return self.accounts + self.transfers

    def some_account(self) -> int:
        """Choose an account."""
        return self.chance.randrange(self.accounts)

    def moment(self) -> datetime:
        """Choose a moment of its history."""
        return _START + timedelta(milliseconds=10) * self.chance.randrange(self.records // 100)


def questions(book: Book) -> dict[str, Callable[[], Request]]:
    """Return name → what makes a request. Question zero's account is the busy one: a tenth of all payments go there."""

    def of(number: int, path: str, **parameters: str | int) -> Request:
        return Request(f"/api/v1/accounts/{account_id(number)}{path}", parameters, owner_id(number))

    def some(path: str, **parameters: str | int) -> Request:
        return of(book.some_account(), path, **parameters)

    def period() -> dict[str, str | int]:
        begins, ends = sorted((book.moment(), book.moment()))
        return {"from": to_rfc3339(begins), "to": to_rfc3339(ends)}

    def staff(**parameters: str | int) -> Request:
        return Request(_TRANSFERS, parameters, owner_id(0), "auditor")

    def mine(number: int, **parameters: str | int) -> Request:
        return Request(_TRANSFERS, parameters, owner_id(number))

    def invoice() -> str:
        return str((book.chance.randrange(book.accounts, book.records) // 10) * 10 + 4)

    return {
        "account": lambda: some(""),
        "balance now": lambda: some("/balance"),
        "balance at a moment": lambda: some("/balance", at=to_rfc3339(book.moment())),
        "balance at a moment, busy account": lambda: of(0, "/balance", at=to_rfc3339(book.moment())),
        "balance as of a record, busy account": lambda: of(0, "/balance", index=book.chance.randrange(book.records)),
        "entries, 50": lambda: some("/entries"),
        "entries deep in, 50, busy account": lambda: of(0, "/entries", before_seq=book.chance.randrange(1000, 90_000)),
        "statement of a period, 100": lambda: some("/statement", **period()),
        "statement of a period, 100, busy account": lambda: of(0, "/statement", **period()),
        "statement as CSV, 1,000, busy account": lambda: of(0, "/statement", format="csv", limit=1000, **period()),
        "transfers of an account, 50": lambda: staff(account_id=account_id(book.some_account())),
        "transfers of a period, 50, busy account": lambda: staff(account_id=account_id(0), **period()),
        "transfers of an account, refused": lambda: staff(account_id=account_id(book.some_account()), status="refused"),
        "transfers of an account by amount, busy account": lambda: mine(
            0, account_id=account_id(0), min_amount_minor=9_990, **period()
        ),
        "transfers of my five accounts, 50": lambda: mine(1),
        "transfers of anybody, 50": lambda: staff(**period()),
        "transfers of anybody, none found in 500": lambda: staff(status="voided", **period()),
        "metadata that is mine, shared by 10%": lambda: mine(book.some_account(), **{"metadata.channel": "web"}),
        "metadata of anybody, one has it": lambda: staff(**{"metadata.invoice": invoice()}),
        "metadata of anybody, shared by 10%": lambda: staff(**{"metadata.channel": "web", **period()}),
        "trial balance now": lambda: Request("/api/v1/admin/ledger/trial-balance", {}, owner_id(0), "auditor"),
    }


def trial_balance_of(book: Book) -> Request:
    """Ask for the books of a moment, which costs a search an account."""
    at = to_rfc3339(book.moment())
    return Request("/api/v1/admin/ledger/trial-balance", {"at": at}, owner_id(0), "auditor")
