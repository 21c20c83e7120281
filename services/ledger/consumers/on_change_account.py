"""Staff change what an account may do, or its owner closes it."""

from libs.common.contracts.gateway import ChangeAccount
from libs.common.errors import Unprocessable
from libs.common.money import MAX_AMOUNT_MINOR


def on_change_account(message: ChangeAccount) -> ChangeAccount:
    """Return the command in it. Raises: Unprocessable for limits nobody may send, which parks the message."""
    for limit_minor in (message.minimum_minor, message.maximum_minor):
        if limit_minor is not None and abs(limit_minor) > MAX_AMOUNT_MINOR:
            raise Unprocessable("amount_out_of_bounds", "A limit is within ±(2^53-1).", limit_minor=limit_minor)
    return message
