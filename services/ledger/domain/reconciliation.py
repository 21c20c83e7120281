"""What a reconciliation finds: promises, and what breaks them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Scope = Literal["books", "all", "account", "sample"]
"""`books`: the ledger's own tables. `all`: the other services, too. `account`: one account. `sample`: the newest."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as promised. `subject` is the id it is about; the text has the values of both sides."""

    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """One promise's answer. `skipped` says why nothing was compared. `is_cut`: there are more than these."""

    name: str
    promise: str
    skipped: str = ""
    differences: Sequence[Difference] = ()
    is_cut: bool = False
    compared: int | None = None
    """How many things were compared, where that was counted."""

    @property
    def verdict(self) -> Literal["ok", "differs", "skipped"]:
        """The answer in a word."""
        if self.differences:
            return "differs"
        return "skipped" if self.skipped else "ok"


@dataclass(frozen=True, slots=True)
class AssetBalance:
    """The trial balance of one asset in one type of account, in minor units; all types of an asset sum to zero."""

    asset: str
    type: str
    accounts: int
    posted_minor: int
    pending_in_minor: int
    pending_out_minor: int


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """A whole run. Times are RFC 3339 UTC; `journal_size` is how many records the compared snapshot has."""

    scope: Scope
    account_id: str
    began_at: str
    ended_at: str
    grace_seconds: float
    journal_size: int
    balances: Sequence[AssetBalance] = ()
    outcomes: Sequence[Outcome] = field(default_factory=list)

    @property
    def differences(self) -> int:
        """How many differences are listed."""
        return sum(len(outcome.differences) for outcome in self.outcomes)

    @property
    def agrees(self) -> bool:
        """Whether nothing differs; what was skipped is no disagreement."""
        return not self.differences


def report_of(run: Reconciliation, *, shown_max: int) -> dict[str, Any]:
    """Return the whole run as JSON can hold it; of each promise the first differences and how many there are."""
    return {
        "agrees": run.agrees,
        "scope": run.scope,
        "account_id": run.account_id,
        "began_at": run.began_at,
        "ended_at": run.ended_at,
        "grace_seconds": run.grace_seconds,
        "journal_size": run.journal_size,
        "balances": [asdict(balance) for balance in run.balances],
        "checks": [
            {
                "name": outcome.name,
                "promise": outcome.promise,
                "verdict": outcome.verdict,
                "skipped": outcome.skipped,
                "compared": outcome.compared,
                "differences": len(outcome.differences),
                "is_cut": outcome.is_cut,
                "examples": [asdict(difference) for difference in outcome.differences[:shown_max]],
            }
            for outcome in run.outcomes
        ],
    }
