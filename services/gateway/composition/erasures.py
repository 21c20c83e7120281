"""How the gateway learns who was erased: the bus tells, and because a broker may forget, accounts is asked as well."""

from libs.common.clock import system_clock
from libs.common.contracts.topics import ERASURES
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.messaging.bus import Bus
from libs.common.messaging.delivery import Subscription
from libs.common.personal.erased_at_accounts import ErasedAtAccounts
from libs.common.personal.fetch_erasures import FETCH_SECONDS, FetchErasures
from libs.common.timers import Timers
from services.gateway.consumers.on_customer_erased import OnCustomerErased
from services.gateway.use_cases.forget_erased import ForgetErased


def follow_erasures(bus: Bus, timers: Timers, erased: ErasedAtAccounts, uow: UnitOfWork) -> None:
    """Have a worker forget whoever was erased."""
    forget = ForgetErased(uow, system_clock)
    bus.subscribe(Subscription("gateway.forget-erased", ERASURES, OnCustomerErased(forget), max_messages=100))
    timers.every(FETCH_SECONDS, "fetch-erasures", FetchErasures(erased, forget))
