"""Every topic: who writes it, what its key is and why, how many partitions, how long it keeps.

One partition each: one shard of the ledger takes them in one order, and on a small machine a second partition only
splits batches. More shards bring more partitions (docs/architecture/overview.md).
"""

from dataclasses import dataclass
from typing import Final

from libs.common.contracts import accounts, audit, dead_letters, fraud, gateway, kyc, ledger
from libs.common.contracts.base import Message

_DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic's fixed facts. `retention_ms` is how long the broker keeps messages; PostgreSQL keeps what matters.

    `unheard_because` says why no service consumes it; empty for a topic that some service does. `waits_because` says
    why later messages of a key wait while one of them is parked; empty for a topic whose messages go on without it.
    """

    name: str
    owner: str
    key: str
    why: str
    messages: tuple[type[Message], ...]
    partitions: int = 1
    retention_ms: int = 7 * _DAY_MS
    unheard_because: str = ""
    waits_because: str = ""


TRANSFER_REQUESTS: Final = Topic(
    name="gateway.transfer-requests.v1",
    owner="gateway",
    key="actor_id",
    why="one sender's requests reach fraud in the order he sent them",
    messages=(gateway.TransferRequested, gateway.TransferBatchRequested),
)
TRANSFER_COMMANDS: Final = Topic(
    name="gateway.transfer-commands.v1",
    owner="gateway",
    key="transfer_id",
    why="the commands about one transfer reach fraud in the order they were sent",
    messages=(gateway.CaptureTransfer, gateway.VoidTransfer, gateway.ReverseTransfer),
    waits_because="a void that overtakes a capture gives back what was to be paid",
)
LEDGER_COMMANDS: Final = Topic(
    name="gateway.ledger-commands.v1",
    owner="gateway",
    key="subject_id",
    why="the commands about one account reach the ledger in the order they were sent",
    messages=(gateway.ChangeAccount, gateway.PublishFeeSchedule),
    waits_because="the last word counts, and a freeze that is handled after its release would be the last",
)
NOTICES: Final = Topic(
    name="gateway.notices.v1",
    owner="gateway",
    key="user_id",
    why="what one customer is told by e-mail reaches him in its order",
    messages=(gateway.HeldMoneyArrived, gateway.WebhookDisabled),
)
SCREENINGS: Final = Topic(
    name="fraud.screenings.v1",
    owner="fraud",
    key="transfer_id",
    why="a hold and its resolution share a partition",
    messages=(fraud.TransferScreened, fraud.TransferBatchScreened, fraud.HoldResolved),
)
SCREENED_COMMANDS: Final = Topic(
    name="fraud.screened-commands.v1",
    owner="fraud",
    key="transfer_id",
    why="the commands about one transfer reach the ledger in the order fraud heard them; verdicts on new transfers, "
    "whose batches are the quicker for holding nothing else, have a topic of their own",
    messages=(fraud.CaptureScreened, fraud.VoidScreened, fraud.ReversalScreened),
    waits_because="a void that overtakes a capture gives back what was to be paid",
)
OUTCOME_QUESTIONS: Final = Topic(
    name="fraud.outcome-questions.v1",
    owner="fraud",
    key="transfer_id",
    why="each stands alone; the answer has the same key",
    messages=(fraud.OutcomeAsked,),
    retention_ms=_DAY_MS,
)
TRANSFERS: Final = Topic(
    name="ledger.transfers.v1",
    owner="ledger",
    key="transfer_id",
    why="a transfer's states stay in order, and a reader that waits for few transfers need not decode the others; an "
    "answer to a command has the command's id",
    messages=(ledger.TransferChanged, ledger.CommandDecided),
)
LEDGER_ACCOUNTS: Final = Topic(
    name="ledger.accounts.v1",
    owner="ledger",
    key="account_id",
    why="an account's states stay in order",
    messages=(ledger.LedgerAccountOpened, ledger.LedgerAccountChanged),
)
ASSETS: Final = Topic(
    name="ledger.assets.v1",
    owner="ledger",
    key="code",
    why="each stands alone and never changes",
    messages=(ledger.AssetAdded,),
)
CHECKPOINTS: Final = Topic(
    name="ledger.checkpoints.v1",
    owner="ledger",
    key="shard",
    why="a shard's tree heads stay in order",
    messages=(ledger.CheckpointPublished,),
    unheard_because="it is for witnesses outside, who compare tree heads",
)
HALTS: Final = Topic(
    name="ledger.halts.v1",
    owner="ledger",
    key="shard",
    why="that a shard halted and that it goes on stay in order",
    messages=(ledger.LedgerIntegrityBroken, ledger.LedgerReleased),
)
ACCOUNTS: Final = Topic(
    name="accounts.accounts.v1",
    owner="accounts",
    key="account_id",
    why="an account's states stay in order",
    messages=(accounts.AccountChanged,),
)
CUSTOMERS: Final = Topic(
    name="accounts.customers.v1",
    owner="accounts",
    key="user_id",
    why="a customer's states stay in order",
    messages=(accounts.CustomerChanged,),
)
CREDENTIALS: Final = Topic(
    name="accounts.credentials.v1",
    owner="accounts",
    key="user_id",
    why="a revocation stands alone: it is never taken back",
    messages=(accounts.CredentialsRevoked,),
)
ERASURES: Final = Topic(
    name="accounts.erasures.v1",
    owner="accounts",
    key="user_id",
    why="an erasure stands alone: it is never taken back",
    messages=(accounts.CustomerErased,),
)
VERIFICATIONS: Final = Topic(
    name="kyc.verifications.v1",
    owner="kyc",
    key="user_id",
    why="a customer's KYC states stay in order",
    messages=(kyc.VerificationChanged,),
)
KYC_SIGNALS: Final = Topic(
    name="kyc.signals.v1",
    owner="kyc",
    key="user_id",
    why="each stands alone; what is known of one customer stays together",
    messages=(kyc.DocumentShared,),
)


def dead_letters_of(service: str) -> Topic:
    """Return the topic on which a service says what it parked."""
    carries_transfers = service in {"fraud", "ledger"}
    return Topic(
        name=f"{service}.dead-letters.v1",
        owner=service,
        key="dead_letter_id",
        why="each stands alone",
        messages=(dead_letters.MessageParked,),
        retention_ms=30 * _DAY_MS,
        unheard_because=""
        if carries_transfers
        else "what it parks is no transfer a customer waits for; people read it",
    )


def audit_entries_of(service: str) -> Topic:
    """Return the topic on which a service says what it wrote into its audit log."""
    return Topic(
        name=f"{service}.audit-entries.v1",
        owner=service,
        key="entry_id",
        why="each stands alone; the key is the first one's",
        messages=(audit.AuditRecorded,),
    )


SERVICES: Final = ("accounts", "kyc", "ledger", "fraud", "gateway")
ALL_TOPICS: Final = (
    TRANSFER_REQUESTS,
    TRANSFER_COMMANDS,
    LEDGER_COMMANDS,
    NOTICES,
    SCREENINGS,
    SCREENED_COMMANDS,
    OUTCOME_QUESTIONS,
    TRANSFERS,
    LEDGER_ACCOUNTS,
    ASSETS,
    CHECKPOINTS,
    HALTS,
    ACCOUNTS,
    CUSTOMERS,
    CREDENTIALS,
    ERASURES,
    VERIFICATIONS,
    KYC_SIGNALS,
    *(dead_letters_of(service) for service in SERVICES),
    *(audit_entries_of(service) for service in SERVICES),
)
