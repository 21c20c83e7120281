"""Two of the staff erase what is known of a person once the law no longer asks to keep it."""

from datetime import timedelta

from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock, to_rfc3339
from libs.common.contracts.accounts import CustomerErased
from libs.common.contracts.topics import ERASURES
from libs.common.db.unit_of_work import UnitOfWork
from services.accounts.domain.erasure import (
    REQUEST_LIFETIME,
    Erasure,
    StopReason,
    require_erasable,
    require_second_person,
    require_waiting,
)
from services.accounts.store.erasures import (
    erase_customer,
    lock_erasure,
    read_erasure_state,
    save_erasure,
    stop_erasure,
)
from services.accounts.use_cases.revoke_credentials import revoke_known_keys


class EraseCustomer:
    """Takes what one asks, and does it when another one approves; either may stop it. Idempotent by: the customer."""

    def __init__(self, uow: UnitOfWork, clock: Clock, *, retention: timedelta) -> None:
        """Take what it works with; `retention` is how long data is kept after closing."""
        self._uow = uow
        self._clock = clock
        self._retention = retention

    async def ask(self, user_id: str, asker: Asker) -> Erasure:
        """Ask to erase a customer, a deleted one too; what was asked before and still waits stays as it was asked.

        Locks: the request. Raises: NotFound `customer_not_found`; Conflict `customer_not_closed`,
        `retention_not_over`, `customer_erased`; Unavailable.
        """
        async with self._uow.begin() as tx:
            now = self._clock()
            require_erasable(
                await read_erasure_state(tx.connection, user_id, now - self._retention), retention=self._retention
            )
            before = await lock_erasure(tx.connection, user_id)
            if before is not None and before.waits_at(now):
                return before
            erasure = Erasure(user_id, asker.actor_id, requested_at=now, expires_at=now + REQUEST_LIFETIME)
            await save_erasure(tx.connection, erasure)
            await record(tx, asker, "customer.ask_erasure", at=now, resource=("customer", user_id))
        return erasure

    async def stop(self, user_id: str, reason: StopReason, asker: Asker) -> None:
        """End what waits for a second person: who asked withdraws it, another one refuses it.

        Locks: the request. Raises: Conflict `customer_erased`; NotFound `erasure_not_requested`; Unavailable.
        """
        async with self._uow.begin() as tx:
            now = self._clock()
            erasure = await lock_erasure(tx.connection, user_id)
            if erasure is not None and erasure.erased_at is not None:
                require_erasable("erased", retention=self._retention)
            asked_by = require_waiting(erasure, now).requested_by
            await stop_erasure(tx.connection, user_id, stopper_id=asker.actor_id, reason=reason, now=now)
            facts = {"asked_by": asked_by, "why": reason.value}
            await record(tx, asker, "customer.stop_erasure", at=now, resource=("customer", user_id), facts=facts)

    async def approve(self, user_id: str, asker: Asker) -> None:
        """Erase the customer here, and have the others erase him. Who is erased already stays so.

        Locks: the request, the customer. Emits: CustomerErased, CredentialsRevoked. Raises: NotFound
        `customer_not_found`, `erasure_not_requested`; Forbidden `own_request`; Conflict `customer_not_closed`,
        `retention_not_over`; Unavailable.
        """
        async with self._uow.begin() as tx:
            erasure = await lock_erasure(tx.connection, user_id)
            if erasure is not None and erasure.erased_at is not None:
                return
            now = self._clock()
            require_second_person(erasure, asker.actor_id, now)
            state = await erase_customer(
                tx.connection,
                user_id,
                approver_id=asker.actor_id,
                closed_before=now - self._retention,
                now=now,
            )
            require_erasable(state, retention=self._retention)
            await revoke_known_keys(tx, user_id, now=now)
            await record(tx, asker, "customer.erase", at=now, resource=("customer", user_id))
            tx.emit(ERASURES, user_id, CustomerErased(user_id=user_id, occurred_at=to_rfc3339(now)))
