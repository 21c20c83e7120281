"""Somebody proves that he has his second factor."""

from datetime import datetime

from libs.common.db.unit_of_work import Transaction
from libs.common.errors import Unauthenticated
from services.accounts.domain.second_factor import GivenCodes, Totp
from services.accounts.domain.session import PASSWORD_ALONE, Factor
from services.accounts.one_time_codes import recovery_code_hash, step_of_code
from services.accounts.store.second_factors import find_totp, use_recovery_code, use_step


async def prove_second_factor(tx: Transaction, user_id: str, given: GivenCodes, *, now: datetime) -> frozenset[Factor]:
    """Return by which factors a customer, locked by the caller and with the right password, has proved himself.

    Who has set up a second factor gives a code of it, which works once.
    Raises: Unauthenticated `second_factor_required`, `second_factor_wrong`.
    """
    totp = await find_totp(tx.connection, user_id)
    if totp is None or not totp.is_confirmed:
        return PASSWORD_ALONE
    if given.totp_code is not None:
        proved = await use_totp_code(tx, user_id, totp, given.totp_code, now=now)
    elif given.recovery_code is not None:
        proved = await use_recovery_code(tx.connection, user_id, recovery_code_hash(given.recovery_code), now)
    else:
        raise Unauthenticated("second_factor_required", "Send `totp_code`, or `recovery_code`, as well.")
    if not proved:
        raise Unauthenticated("second_factor_wrong", "The code is wrong, over, or was used before.")
    return PASSWORD_ALONE | {"otp"}


async def use_totp_code(tx: Transaction, user_id: str, totp: Totp, code: str, *, now: datetime) -> bool:
    """Tell whether this is a code of the authenticator that was not used before, and use it."""
    step = step_of_code(totp.secret, code, now)
    return step is not None and await use_step(tx.connection, user_id, step)
