"""What a reconciliation finds: promises, and what breaks them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from libs.common.money import FIRST_ASSETS, format_units

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
    """How many things were looked at; None when nobody could be asked."""
    things: str = ""
    """What these are, in the plural."""

    @property
    def verdict(self) -> Literal["ok", "differs", "skipped"]:
        """The answer in a word."""
        if self.differences:
            return "differs"
        return "skipped" if self.skipped else "ok"

    @property
    def scale(self) -> str:
        """How many of what it was asked of, for people; empty when nothing was looked at."""
        return "" if self.compared is None or self.skipped else f"{self.compared:,} {self.things}".strip()


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
class KeptVerification:
    """A verification of the whole ledger, as it was kept. `note` is the state it signed; empty if it signed none."""

    verification_id: str
    scope: str
    size: int
    records: int
    findings: int
    note: str
    finished_at: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What the snapshot holds of its own proof. None of it is believed before a trusted key has verified the notes."""

    first_block_at: str = ""
    last_record_at: str = ""
    is_halted: bool = False
    open_findings: int = 0
    checkpoint: str = ""
    """The newest checkpoint, a signed note; empty while there is none."""
    verifications: Sequence[KeptVerification] = ()
    """The newest, the newest that signed what it saw, and the newest full one, each once, newest first."""


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """A whole run. Times are RFC 3339 UTC; `journal_size` is how many records the compared snapshot has.

    `snapshot_at` is the moment of the books that was looked at, by the database's clock; `exponents` are the decimal
    digits of the assets they keep.
    """

    scope: Scope
    account_id: str
    began_at: str
    ended_at: str
    grace_seconds: float
    journal_size: int
    balances: Sequence[AssetBalance] = ()
    outcomes: Sequence[Outcome] = field(default_factory=list)
    run_id: str = ""
    snapshot_at: str = ""
    exponents: Mapping[str, int] = field(default_factory=dict)
    standing: Standing = field(default_factory=Standing)

    @property
    def differences(self) -> int:
        """How many differences are listed."""
        return sum(len(outcome.differences) for outcome in self.outcomes)

    @property
    def agrees(self) -> bool:
        """Whether nothing differs; what was skipped is no disagreement."""
        return not self.differences


def written(amount_minor: int, asset: str, exponents: Mapping[str, int]) -> str:
    """Write an amount for people, with the decimals that the books keep of the asset.

    The first assets have theirs whatever the books say. Of one that is not kept nobody knows any: minor units it is.
    """
    exponent = FIRST_ASSETS.get(asset, exponents.get(asset))
    return (
        f"{amount_minor:,} minor units of {asset}" if exponent is None else format_units(amount_minor, asset, exponent)
    )


def report_of(run: Reconciliation, *, shown_max: int) -> dict[str, Any]:
    """Return the whole run as JSON can hold it; of each promise the first differences and how many there are."""
    return {
        "run_id": run.run_id,
        "agrees": run.agrees,
        "scope": run.scope,
        "account_id": run.account_id,
        "began_at": run.began_at,
        "ended_at": run.ended_at,
        "grace_seconds": run.grace_seconds,
        "snapshot_at": run.snapshot_at,
        "journal_size": run.journal_size,
        "standing": asdict(run.standing),
        "exponents": dict(run.exponents),
        "balances": [asdict(balance) for balance in run.balances],
        "checks": [
            {
                "name": outcome.name,
                "promise": outcome.promise,
                "verdict": outcome.verdict,
                "skipped": outcome.skipped,
                "compared": outcome.compared,
                "things": outcome.things,
                "differences": len(outcome.differences),
                "is_cut": outcome.is_cut,
                "examples": [asdict(difference) for difference in outcome.differences[:shown_max]],
            }
            for outcome in run.outcomes
        ],
    }
