"""A log-in begins: the first session of a new family."""

from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.db.unit_of_work import Transaction
from libs.common.ids import new_id
from services.accounts.domain.customer import Customer
from services.accounts.domain.session import SESSIONS_MAX, Caller, Proof, first_session
from services.accounts.store.sessions import insert_session, read_stalest
from services.accounts.tokens import AccessTokens, TokenPair, new_refresh_token
from services.accounts.use_cases.end_sessions import end_sessions


async def begin_session(
    tx: Transaction, customer: Customer, tokens: AccessTokens, *, proof: Proof, asker: Asker
) -> TokenPair:
    """Store the session of a customer whom the caller has locked, and return its tokens.

    Emits: CredentialsRevoked, when he has so many log-ins that the one used least lately ends.
    """
    refresh = new_refresh_token()
    session = first_session(
        new_id(), user_id=customer.user_id, proof=proof, caller=Caller(asker.address, asker.user_agent)
    )
    await insert_session(tx.connection, session, refresh.sha256)
    asker.is_person(customer.user_id)
    facts = {"customer": customer.user_id, "factors": sorted(proof.factors)}
    await record(tx, asker, "session.begin", at=proof.at, resource=("session", session.family_id), facts=facts)
    stalest = await read_stalest(tx.connection, customer.user_id, now=proof.at, beyond=SESSIONS_MAX)
    if stalest:
        await end_sessions(tx, customer.user_id, asker, now=proof.at, only=stalest)
    access = tokens.issue(session=session, roles=customer.roles, now=proof.at)
    return TokenPair(access_token=access, refresh_token=refresh.text)
