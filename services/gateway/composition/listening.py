"""What the gateway hears on the bus: each api process what it must know at once, the workers' group all there is."""

from libs.common.clock import system_clock
from libs.common.contracts import topics
from libs.common.db.hot import HotConnection
from libs.common.messaging.bus import Bus
from libs.common.messaging.delivery import Subscription
from services.gateway.consumers.on_account_changed import OnAccountChanged
from services.gateway.consumers.on_asset_added import on_asset_added
from services.gateway.consumers.on_audit_recorded import OnAuditRecorded
from services.gateway.consumers.on_customer_changed import OnCustomerChanged
from services.gateway.consumers.on_ledger_account_changed import OnLedgerAccountChanged
from services.gateway.consumers.on_ledger_integrity_broken import FollowHalts
from services.gateway.consumers.on_message_parked import OnMessageParked
from services.gateway.consumers.on_transfer_changed import OnTransferChanged, WakeWaiters
from services.gateway.consumers.on_verification_changed import OnVerificationChanged
from services.gateway.use_cases.await_outcomes import Waiters
from services.gateway.use_cases.keep_events import KeepEvents
from services.gateway.use_cases.look_up_parties import Directory
from services.gateway.use_cases.notify_payees import NotifyPayees
from services.gateway.use_cases.watch_ledger import LedgerHalt


def follow(bus: Bus, waiters: Waiters, directory: Directory, halt: LedgerHalt) -> None:
    """Follow what an api process must know at once.

    A caller waits for his outcome; who was just approved sends at once, and a block for a stale tier would be frozen
    under his key.
    """
    bus.follow({topics.TRANSFERS: WakeWaiters(waiters)})
    bus.follow(
        {
            topics.ASSETS: on_asset_added,
            topics.ACCOUNTS: directory.follow_accounts,
            topics.CUSTOMERS: directory.follow_customers,
            topics.VERIFICATIONS: directory.follow_verifications,
            topics.HALTS: FollowHalts(halt),
        },
        urgent=False,
    )


def subscribe(bus: Bus, projection: HotConnection, keeping: HotConnection, audit: HotConnection) -> None:
    """Have the workers keep what is said, each message by one of them."""
    events, notify = KeepEvents(keeping, system_clock), NotifyPayees(keeping, bus.publisher, system_clock)
    subscriptions = (
        Subscription(
            "gateway.project-outcomes",
            topics.TRANSFERS,
            OnTransferChanged(projection, events, notify),
            max_messages=1000,
        ),
        Subscription("gateway.project-accounts", topics.ACCOUNTS, OnAccountChanged(projection, events)),
        Subscription(
            "gateway.project-account-states", topics.LEDGER_ACCOUNTS, OnLedgerAccountChanged(projection, events)
        ),
        Subscription("gateway.project-customers", topics.CUSTOMERS, OnCustomerChanged(projection)),
        Subscription("gateway.project-verifications", topics.VERIFICATIONS, OnVerificationChanged(projection, events)),
        Subscription(
            "gateway.collect-audit-entries",
            topics.audit_entries_of("gateway"),
            OnAuditRecorded(audit),
            also=tuple(topics.audit_entries_of(service) for service in topics.SERVICES if service != "gateway"),
        ),
        Subscription("gateway.fraud-parked", topics.dead_letters_of("fraud"), OnMessageParked(projection)),
        Subscription("gateway.ledger-parked", topics.dead_letters_of("ledger"), OnMessageParked(projection)),
    )
    for subscription in subscriptions:
        bus.subscribe(subscription)
