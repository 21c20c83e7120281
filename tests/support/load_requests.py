"""What the load asks for, under one key each, and everything that was ever answered about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tests.support.chaos_api import Person

FINAL = frozenset({"posted", "refused", "blocked", "voided"})
DEPOSIT = "deposits"
WITHDRAWAL = "withdrawals"
TRANSFER = "transfers"
BATCH = "batch"
CAPTURE = "captures"
VOID = "voids"
REVERSAL = "reversals"
_PATHS = {
    DEPOSIT: "/api/v1/deposits",
    WITHDRAWAL: "/api/v1/withdrawals",
    TRANSFER: "/api/v1/transfers",
    BATCH: "/api/v1/transfers/batch",
    CAPTURE: "/api/v1/transfers/{}/capture",
    VOID: "/api/v1/transfers/{}/void",
    REVERSAL: "/api/v1/transfers/{}/reversals",
}


@dataclass(frozen=True)
class Answer:
    """What was said of one transfer or command. `status` is a transfer's; `http_status` that of a request for it alone.

    `moved_minor` is what a hold had posted by then, or what a reversal gave back.
    """

    http_status: int
    transfer_id: str
    status: str
    code: str
    command_id: str = ""
    moved_minor: int = 0

    @property
    def is_named(self) -> bool:
        """Whether it says what it is about: what does not leaves the outcome unknown."""
        return bool(self.transfer_id or self.command_id)


@dataclass
class Move:
    """One transfer asked for under one key, and everything that was ever answered about it."""

    principal_id: str
    scope: str
    key: str
    source_account_id: str
    destination_account_id: str
    amount_minor: int
    answers: list[Answer] = field(default_factory=list)
    together: str = ""
    """The same for all transfers of one atomic batch, else empty."""
    hold_seconds: int = 0
    """How long the caller's hold lasts that was asked for; 0 for what is to post at once."""

    def __str__(self) -> str:
        return f"{self.scope} {self.key} {[(answer.http_status, answer.status) for answer in self.answers]}"


@dataclass
class Command:
    """One capture, void or reversal asked for under one key; without an amount it is about all that is left."""

    principal_id: str
    scope: str
    key: str
    transfer_id: str
    amount_minor: int | None
    is_final: bool
    answers: list[Answer] = field(default_factory=list)

    def __str__(self) -> str:
        answered = [(answer.http_status, answer.code or answer.status) for answer in self.answers]
        return f"{self.scope} {self.key} of {self.transfer_id} {answered}"

    @property
    def body(self) -> dict[str, Any]:
        """What is sent."""
        amount = {} if self.amount_minor is None else {"amount_minor": self.amount_minor}
        rest: dict[str, Any] = {"reason": "it came back"} if self.scope == REVERSAL else {}
        return amount | rest | ({"final": True} if self.is_final else {})


Asked: TypeAlias = Move | Command


@dataclass(frozen=True)
class Request:
    """One HTTP request for one transfer, for several, or for a command; sent again it is the same, byte for byte."""

    person: Person
    scope: str
    body: Mapping[str, Any]
    asked: Sequence[Asked]
    prefer: str = ""

    @property
    def path(self) -> str:
        """Where it is sent."""
        first = self.asked[0]
        return _PATHS[self.scope].format(first.transfer_id if isinstance(first, Command) else "")


def body_of(move: Move) -> dict[str, Any]:
    """Return what is sent for a transfer."""
    body: dict[str, Any] = {
        "source_account_id": move.source_account_id,
        "destination_account_id": move.destination_account_id,
        "amount_minor": move.amount_minor,
        "asset": "USD",
    }
    return body | ({"hold": True, "expires_in_seconds": move.hold_seconds} if move.hold_seconds else {})


def read_answer(scope: str, http_status: int, result: Mapping[str, Any]) -> Answer:
    """Read a transfer's document, a problem, or one of a batch's results, which has no HTTP status of its own."""
    problem = result.get("problem", result)
    if "problem" in result:
        http_status = problem["status"]
    elif scope == BATCH and "status" in result:
        http_status = 201 if result["status"] == "posted" else 202
    code, status = problem.get("code", ""), str(problem.get("status", ""))
    if http_status >= 400:
        # Of a command about a transfer, `transfer_status` is what the transfer is, not what became of the command.
        status = "refused" if "command_id" in problem else problem.get("transfer_status", "refused")
    return Answer(
        http_status,
        problem.get("transfer_id") or "",
        status,
        code,
        problem.get("command_id", ""),
        _moved_minor(scope, http_status, result),
    )


def _moved_minor(scope: str, http_status: int, result: Mapping[str, Any]) -> int:
    """Return what the document of a decided command says of its effect: the money that is posted by then, or back."""
    if scope == REVERSAL and http_status == 201:
        return int(result["legs"][0]["amount_minor"])
    return int(result.get("captured_minor") or 0) if scope in (CAPTURE, VOID) else 0
