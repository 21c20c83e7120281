"""What an entry of a list may say, before it is kept."""

from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Final

from libs.common.errors import Unprocessable
from libs.common.ids import is_id
from libs.common.origins import DEVICE_CHARACTERS_MAX
from services.fraud.domain.lists import ListName, Subject

STANDING_MAX: Final = 50_000
"""How many entries stand at once: every deciding process holds them all."""
LENIENT_FOR_MAX: Final = timedelta(days=366)
"""How long whoever is allowed or snoozed stays so at most."""

_CUSTOMERS: Final = frozenset({"customer", "sender", "receiver", "pair"})


def check_entry(
    *, name: ListName, subject: Subject, value: str, other: str, rule_id: str, expires_at: datetime | None, now: datetime
) -> None:
    """Refuse an entry that could never match, or that would be lenient for ever.

    Raises: Unprocessable `list_entry_invalid`, whose detail says what to change.
    """
    if subject in _CUSTOMERS and not is_id(value):
        raise _refused("`value` is the customer's user id.")
    if subject == "pair" and not is_id(other):
        raise _refused("`value` is the sender's user id and `other` the receiver's.")
    if subject != "pair" and other:
        raise _refused("`other` is for pairs alone.")
    if subject == "address" and not _is_public(value):
        raise _refused("`value` is a public IP address; of an IPv6 address its first 64 bits count.")
    if subject == "device" and not (len(value) <= DEVICE_CHARACTERS_MAX and value.isascii() and value.isprintable()):
        raise _refused(f"`value` is the device as its client names it, {DEVICE_CHARACTERS_MAX} characters at most.")
    if name == "freeze" and subject != "customer":
        raise _refused("Customers are frozen; what else shall not pass is denied.")
    if (name == "snooze") != bool(rule_id):
        raise _refused("`rule_id` names the rule that is snoozed, and is for snoozes alone.")
    if name in ("allow", "snooze"):
        if expires_at is None:
            raise _refused("Whoever is allowed or snoozed is so until `expires_at`.")
        if expires_at > now + LENIENT_FOR_MAX:
            raise _refused("`expires_at` is a year from now at most.")
    if expires_at is not None and expires_at <= now:
        raise _refused("`expires_at` has passed.")


def _is_public(text: str) -> bool:
    try:
        return ip_address(text).is_global
    except ValueError:
        return False


def _refused(why: str) -> Unprocessable:
    return Unprocessable("list_entry_invalid", why)
