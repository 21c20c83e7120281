"""Keep what accounts and kyc say of accounts and customers: newest version wins."""

from collections.abc import Sequence

from libs.common.contracts.accounts import AccountChanged, CustomerChanged
from libs.common.contracts.kyc import VerificationChanged
from libs.common.contracts.ledger import LedgerAccountChanged
from libs.common.db.hot import HotConnection
from services.gateway.store.directory import KnownAccount, save_accounts, save_profiles, save_tiers
from services.gateway.store.later_states import AccountState, save_account_states
from services.gateway.store.webhooks import disable_webhooks_of_closed


async def project_accounts(messages: Sequence[AccountChanged], connection: HotConnection) -> None:
    """Keep who owns which account. Idempotent by: (account id, version). Raises: Unavailable."""
    newest: dict[str, AccountChanged] = {}
    for message in messages:
        seen = newest.get(message.account_id)
        if seen is None or seen.version < message.version:
            newest[message.account_id] = message
    rows = [KnownAccount(m.account_id, m.owner_id, m.asset, m.status, m.version) for _, m in sorted(newest.items())]
    async with connection.autocommit() as database:
        await save_accounts(database, rows)


async def project_profiles(messages: Sequence[CustomerChanged], connection: HotConnection) -> None:
    """Keep which limit profile a customer has, and send nothing more to the webhooks of one who has closed.

    Idempotent by: (user id, version). Raises: Unavailable.
    """
    newest: dict[str, CustomerChanged] = {}
    for message in messages:
        seen = newest.get(message.user_id)
        if seen is None or seen.version < message.version:
            newest[message.user_id] = message
    rows = [(m.user_id, m.profile, m.version) for _, m in sorted(newest.items())]
    closed = [(m.user_id, m.version, m.occurred_at) for _, m in sorted(newest.items()) if m.status == "closed"]
    async with connection.autocommit() as database:
        await save_profiles(database, rows)
        if closed:
            await disable_webhooks_of_closed(database, closed)


async def project_tiers(messages: Sequence[VerificationChanged], connection: HotConnection) -> None:
    """Keep how far a customer is verified. Idempotent by: (user id, version). Raises: Unavailable."""
    newest: dict[str, VerificationChanged] = {}
    for message in messages:
        seen = newest.get(message.user_id)
        if seen is None or seen.version < message.version:
            newest[message.user_id] = message
    rows = [(m.user_id, m.tier, m.version) for _, m in sorted(newest.items())]
    async with connection.autocommit() as database:
        await save_tiers(database, rows)


async def project_account_states(messages: Sequence[LedgerAccountChanged], connection: HotConnection) -> None:
    """Keep what an account may do, and could do before. Idempotent by: (account id, journal index).

    Raises: Unavailable.
    """
    states = {
        (m.account_id, m.journal_index): AccountState(
            m.account_id, m.journal_index, m.status, m.minimum_minor, m.maximum_minor, m.occurred_at
        )
        for m in messages
    }
    if states:
        async with connection.autocommit() as database:
            await save_account_states(database, [state for _, state in sorted(states.items())])
