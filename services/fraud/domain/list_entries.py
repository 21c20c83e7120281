"""What an entry of a list may say, before it is kept."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Final

# tidy: allow impure-value-code: a bound, which the gateway keeps as well
from libs.common.contracts.transfers import DEVICE_CHARACTERS_MAX
from libs.common.errors import Unprocessable
from libs.common.ids import is_id
from services.fraud.domain.lists import ListName, Subject

STANDING_MAX: Final = 50_000
"""How many entries stand at once: every deciding process holds them all."""
LENIENT_FOR_MAX: Final = timedelta(days=366)
"""How long whoever is allowed or snoozed stays so at most."""

LENIENT: Final[frozenset[ListName]] = frozenset({"allow", "snooze"})
"""Lists that let more pass."""

_CUSTOMERS: Final = frozenset({"customer", "sender", "receiver", "pair"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """An entry as it is asked for; `other` and `rule_id` are "" where there are none."""

    name: ListName
    subject: Subject
    value: str
    other: str
    rule_id: str
    reason: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class ListEntry:
    """An entry as stored. `other` and `rule_id` are "" where there are none; `removed_*` are empty while it stands."""

    entry_id: str
    list: ListName
    subject: Subject
    value: str
    other: str
    rule_id: str
    reason: str
    added_by: str
    added_at: datetime
    expires_at: datetime | None
    removed_by: str | None = None
    removed_at: datetime | None = None
    removed_because: str = ""


def check_entry(wanted: Wanted, now: datetime) -> None:
    """Refuse an entry that could never match, or that would be lenient for ever.

    Raises: Unprocessable `list_entry_invalid`, whose detail says what to change.
    """
    wrong = _wrong_with_subject(wanted) or _wrong_with_list(wanted, now)
    if wrong:
        raise Unprocessable("list_entry_invalid", wrong)


def _wrong_with_subject(wanted: Wanted) -> str:
    subject, value = wanted.subject, wanted.value
    if subject in _CUSTOMERS and not is_id(value):
        return "`value` is the customer's user id."
    if subject == "pair" and not is_id(wanted.other):
        return "`value` is the sender's user id and `other` the receiver's."
    if subject != "pair" and wanted.other:
        return "`other` is for pairs alone."
    if subject == "address" and not _is_public(value):
        return "`value` is a public IP address; of an IPv6 address its first 64 bits count."
    if subject == "device" and len(value) > DEVICE_CHARACTERS_MAX:
        return f"`value` is the device as its client names it, {DEVICE_CHARACTERS_MAX} characters at most."
    return ""


def _wrong_with_list(wanted: Wanted, now: datetime) -> str:
    if wanted.name == "freeze" and wanted.subject != "customer":
        return "Customers are frozen; what else shall not pass is denied."
    if (wanted.name == "snooze") != bool(wanted.rule_id):
        return "`rule_id` names the rule that is snoozed, and is for snoozes alone."
    if wanted.expires_at is not None and wanted.expires_at <= now:
        return "`expires_at` has passed."
    if wanted.name in LENIENT and (wanted.expires_at is None or wanted.expires_at > now + LENIENT_FOR_MAX):
        return "Whoever is allowed or snoozed is so until `expires_at`, a year from now at most."
    return ""


def _is_public(text: str) -> bool:
    try:
        return ip_address(text).is_global
    except ValueError:
        return False
