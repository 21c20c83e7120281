"""Somebody makes an API key: for himself, or an admin for a service account."""

import secrets
from typing import Final

from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.errors import Conflict, NotFound
from libs.common.http.api_keys import key_text, secret_hash
from libs.common.http.idempotency import Once
from libs.common.http.permissions import scopes_open_to
from libs.common.ids import new_id
from services.accounts.domain.api_key import ApiKey, WantedKey, judge_wanted
from services.accounts.domain.customer import Customer
from services.accounts.domain.security_notices import api_key_made_notice
from services.accounts.store.api_keys import count_living_keys, insert_key
from services.accounts.store.customers import lock_customer
from services.accounts.store.service_accounts import lock_service_account
from services.accounts.use_cases.tell_of_log_in import tell_of_log_in

KEYS_MAX: Final = 50
_SECRET_BYTES: Final = 32


class CreateApiKey:
    """Makes keys; the text of one is returned here and never again."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    async def __call__(
        self, once: Once[ApiKey], *, asker: Asker, user_id: str, wanted: WantedKey, for_machine: bool = False
    ) -> tuple[ApiKey, str]:
        """Store the key, its secret as a hash alone, and return it with the text that is sent as a bearer token.

        A person is told by e-mail: a key that somebody else made in his name goes on when his log-ins end. Not at an
        address that nobody has proved to be his: it may be a stranger's.

        Idempotent by: the request's key. Locks: it, the holder.
        Raises: AnsweredBefore, NotFound `service_account_not_found` or `customer_not_found`, Unprocessable
        `scope_not_allowed`, `expiry_not_later`, Conflict `too_many_api_keys`, Unavailable.
        """
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        async with once.work(self._uow) as tx:
            holder = await (lock_service_account if for_machine else lock_customer)(tx.connection, user_id)
            if holder is None and for_machine:
                raise NotFound("service_account_not_found", "There is no such service account.")
            if holder is None:
                raise NotFound("customer_not_found", "There is no such customer.")
            now = self._clock()
            judge_wanted(wanted, scopes_open_to(holder.roles), now)
            if await count_living_keys(tx.connection, user_id, now) >= KEYS_MAX:
                raise Conflict("too_many_api_keys", "Revoke a key that is not needed before making another.")
            key = ApiKey(
                key_id=new_id(),
                user_id=user_id,
                name=wanted.name,
                scopes=wanted.scopes,
                networks=wanted.networks,
                created_at=now,
                created_by=asker.actor_id,
                expires_at=wanted.expires_at,
                last_used_at=None,
                revoked_at=None,
            )
            await insert_key(tx.connection, key, secret_hash(secret))
            if isinstance(holder, Customer) and holder.email_verified_at is not None:
                notice = api_key_made_notice(holder.email, asker.address, now)
                await tell_of_log_in(tx.connection, user_id, notice, now)
            action = "service_account.create" if for_machine else "api_key.create"
            facts = {"scopes": sorted(key.scopes), "holder_id": user_id}
            await record(tx, asker, action, at=now, resource=("api_key", key.key_id), facts=facts)
            tx.made(key)
        return key, key_text(key.key_id, secret)
