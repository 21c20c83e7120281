"""A transfer that a rule has held, made by the statements of the deciding transaction, without a rule."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from libs.common.contracts.fraud import HoldReason
from libs.common.contracts.transfers import TransferCommand
from libs.common.ids import new_id
from services.fraud.domain.moments import to_us
from services.fraud.domain.screening import WITHOUT_RULES
from services.fraud.domain.stored_features import Features
from services.fraud.store.counts import RuleCounts
from services.fraud.store.decisions import DecidedBy, NewDecision, keep_decisions
from services.fraud.store.holds import NewHold, insert_holds
from services.fraud.store.payer_cache import PayerCache
from services.fraud.store.reviews import NewReview, open_reviews
from services.fraud.store.unit_of_work import UnitOfWork
from services.fraud.store.users import load_customers, load_payers


async def keep_held(
    work: UnitOfWork, cache: PayerCache, command: TransferCommand, reasons: Sequence[HoldReason], now: datetime
) -> None:
    """Keep the decision to hold it, of US dollars, and the review if it is to wait for one. Nothing is sent."""
    assert command.payer is not None
    payer_id, payees = command.payer.user_id, [party.user_id for party in command.payees]
    usd_minor = sum(leg.amount_minor for leg in command.legs)
    async with work.open() as transaction:
        connection = transaction.connection
        customers = await load_customers(connection, [payer_id])
        payers = await load_payers(connection, cache, [payer_id], customers, now)
        payers[payer_id].window.take(to_us(now), usd_minor)
        decision = NewDecision(
            transfer_id=command.transfer_id,
            decision_id=new_id(),
            user_id=payer_id,
            verdict="hold",
            code="",
            reasons=",".join(reasons),
            usd_minor=usd_minor,
            features=msgspec.json.encode(
                Features(kind="transfer", amounts_minor={}, rates={}, payees=[], payer_tier=command.payer.kyc_tier)
            ),
            facts=None,
            decided_at=now,
            command=msgspec.json.encode(command),
        )
        version = await connection.fetchval("SELECT version FROM fraud.screening_data")
        by = DecidedBy(WITHOUT_RULES, version)
        await keep_decisions(
            transaction, payers.values(), [decision], now, by=by, lane=0, rule_counts=RuleCounts(), activity=[]
        )
        await insert_holds(connection, [NewHold(command.transfer_id, payees, reasons, now)])
        if "review" in reasons:
            parties = [payer_id, *payees, command.actor_id]
            await open_reviews(connection, [NewReview(command.transfer_id, payer_id, parties, usd_minor, now)])
