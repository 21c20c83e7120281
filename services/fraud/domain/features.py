"""The feature catalogue: every value a rule may ask for, what it means, and how it is made of what we know.

A decision stores all of them in this order. So features are only ever added, at the end: what is stored stays readable.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

import msgspec  # tidy: allow impure-value-code: shapes of values, made faster than by anything else; it reads nothing

from services.fraud.domain.activity import Activity
from services.fraud.domain.window import Window

Consistency = Literal["exact", "snapshot"]
Value = int | bool

_SECOND_US: Final = 1_000_000
_HOUR_SECONDS: Final = 3_600
_DAY_SECONDS: Final = 24 * _HOUR_SECONDS
_MONTH_US: Final = 30 * _DAY_SECONDS * _SECOND_US
_SPANS: Final = ("1h", "24h", "7d", "30d")
_SPOKEN: Final = MappingProxyType({"1h": "hour", "24h": "24 hours", "7d": "7 days", "30d": "30 days"})


@dataclass(frozen=True, slots=True)
class Feature:
    """One value. `exact` cannot be outrun by anybody; `snapshot` may lag behind what other processes decide."""

    name: str
    kind: Literal["int", "bool"]
    unit: str
    consistency: Consistency
    meaning: str


def _of_subject(subject: str, spoken: str, others: str | None, exact: frozenset[str] = frozenset()) -> list[Feature]:
    """Return counts and sums of one subject window by window, then its counterparts."""
    features = []
    for span in _SPANS:
        for measure, unit, words in (("count", "transfers", "transfers"), ("sum", "US cents", "worth of transfers")):
            name = f"{subject}_{measure}_{span}"
            consistency: Consistency = "exact" if name in exact else "snapshot"
            meaning = f"{words} {spoken} in the {_SPOKEN[span]} before this one, approved or held"
            features.append(Feature(name, "int", unit, consistency, meaning))
    if others:
        features += [
            Feature(
                f"{subject}_{others}_{span}",
                "int",
                others,
                "snapshot",
                f"different {others} of transfers {spoken} in the {_SPOKEN[span]} before this one",
            )
            for span in _SPANS
        ]
    return features


CATALOGUE: Final[tuple[Feature, ...]] = (
    Feature("usd_minor", "int", "US cents", "exact", "what the transfer is worth, all legs together"),
    Feature("legs", "int", "legs", "exact", "how many legs it has"),
    Feature("hold_seconds", "int", "seconds", "exact", "how long the caller asked to hold it; 0 posts at once"),
    Feature("hour_utc", "int", "0 to 23", "exact", "hour of the day when it was screened, UTC"),
    Feature("weekday_utc", "int", "1 to 7", "exact", "day of the week when it was screened, UTC; 1 is Monday"),
    Feature("sender_tier", "int", "0 to 3", "exact", "the sender's KYC tier"),
    Feature("receiver_tier", "int", "0 to 3", "exact", "the receiver's KYC tier"),
    Feature("sender_is_business", "bool", "", "exact", "whether the sender has the limits of a business"),
    Feature("sender_age_seconds", "int", "seconds", "snapshot", "since the sender's first account was opened"),
    Feature("receiver_age_seconds", "int", "seconds", "snapshot", "since the receiver's first account was opened"),
    Feature("sender_kyc_age_seconds", "int", "seconds", "snapshot", "since the sender's KYC last changed"),
    Feature("receiver_kyc_age_seconds", "int", "seconds", "snapshot", "since the receiver's KYC last changed"),
    Feature(
        "sender_idle_seconds",
        "int",
        "seconds",
        "snapshot",
        "since the sender's latest transfer; 30 days if there was none within them",
    ),
    Feature("sender_blocked_1h", "int", "transfers", "snapshot", "the sender's blocked tries in the last hour"),
    Feature("sender_blocked_24h", "int", "transfers", "snapshot", "the sender's blocked tries in the last 24 hours"),
    Feature("address_blocked_1h", "int", "transfers", "snapshot", "blocked tries from this IP address, last hour"),
    Feature("address_blocked_24h", "int", "transfers", "snapshot", "blocked tries from this IP address, last 24 hours"),
    Feature("device_blocked_1h", "int", "transfers", "snapshot", "blocked tries from this device, last hour"),
    Feature("device_blocked_24h", "int", "transfers", "snapshot", "blocked tries from this device, last 24 hours"),
    Feature("address_given", "bool", "", "exact", "whether it came from a public IP address that we know"),
    Feature("address_known", "bool", "", "snapshot", "whether the sender used this IP address within 30 days"),
    Feature("device_given", "bool", "", "exact", "whether the client named its device"),
    Feature("device_known", "bool", "", "snapshot", "whether the sender used this device within 30 days"),
    *_of_subject(
        "sender",
        "by the sender",
        "receivers",
        frozenset({"sender_count_1h", "sender_count_24h", "sender_sum_24h"}),
    ),
    *_of_subject("receiver", "to the receiver", "senders"),
    *_of_subject("pair", "from this sender to this receiver", None),
    *_of_subject("address", "from this IP address (IPv6: its /64)", "senders"),
    *_of_subject("device", "from this device", "senders"),
    Feature(
        "sender_documents_shared_30d",
        "int",
        "documents",
        "snapshot",
        "documents of the sender's that another customer sent as well, noticed in the 30 days before; 20 at most",
    ),
    Feature(
        "receiver_documents_shared_30d",
        "int",
        "documents",
        "snapshot",
        "documents of the receiver's that another customer sent as well, noticed in the 30 days before; 20 at most",
    ),
)
"""All of them, in the order in which decisions store them. Counts stop at `EVENTS_MAX` where they are no limits."""

BY_NAME: Final[Mapping[str, Feature]] = MappingProxyType({feature.name: feature for feature in CATALOGUE})
PLACES: Final[Mapping[str, int]] = MappingProxyType({feature.name: place for place, feature in enumerate(CATALOGUE)})

_NOBODY: Final = (0,) * 12
_NOT_BLOCKED: Final = (0, 0)
_SENDER: Final = PLACES["sender_count_1h"]
_SENDER_COUNT_24H: Final = PLACES["sender_count_24h"]
_SENDER_SUM_24H: Final = PLACES["sender_sum_24h"]


class Side(msgspec.Struct, frozen=True, gc=False):
    """A sender or receiver. When his first account and his KYC state began is in µs since 1970 UTC, 0 if unknown.

    `documents_shared_us` are the moments when a document of his turned out to be somebody else's as well.
    """

    user_id: str
    tier: int
    account_since_us: int = 0
    kyc_since_us: int = 0
    documents_shared_us: Sequence[int] = ()


class Around(msgspec.Struct, frozen=True, gc=False):
    """What is known around one transfer: its sender, one receiver, and where it came from."""

    sender: Activity
    receiver: Activity | None
    address: Activity | None
    device: Activity | None
    window: Window
    """The sender's limits: what is exact of his counts and sums."""


def values_of(
    *,
    usd_minor: int,
    legs: int,
    hold_seconds: int,
    now_us: int,
    sender: Side,
    receiver: Side,
    is_business: bool,
    around: Around,
) -> list[Value]:
    """Return every feature of one transfer to one receiver, in the order of the catalogue, before it is counted."""
    sending, receiving, address, device = around.sender, around.receiver, around.address, around.device
    day_seconds = now_us // _SECOND_US
    sender_id = sender.user_id
    values: list[Value] = [
        usd_minor,
        legs,
        hold_seconds,
        day_seconds // _HOUR_SECONDS % 24,
        (day_seconds // _DAY_SECONDS + 3) % 7 + 1,  # 1 January 1970 was a Thursday
        sender.tier,
        receiver.tier,
        is_business,
        _age_seconds(sender.account_since_us, now_us),
        _age_seconds(receiver.account_since_us, now_us),
        _age_seconds(sender.kyc_since_us, now_us),
        _age_seconds(receiver.kyc_since_us, now_us),
        sending.idle_us(now_us) // _SECOND_US,
        *sending.blocked(now_us),
        *(_NOT_BLOCKED if address is None else address.blocked(now_us)),
        *(_NOT_BLOCKED if device is None else device.blocked(now_us)),
        address is not None,
        address is not None and address.knows(sender_id, now_us),
        device is not None,
        device is not None and device.knows(sender_id, now_us),
    ]
    values += sending.figures_at(now_us)
    values += _NOBODY if receiving is None else receiving.figures_at(now_us)
    values += sending.pair(receiver.user_id, now_us)
    values += _NOBODY if address is None else address.figures_at(now_us)
    values += _NOBODY if device is None else device.figures_at(now_us)
    values += (
        _within_a_month(sender.documents_shared_us, now_us),
        _within_a_month(receiver.documents_shared_us, now_us),
    )
    # These three are limits as well: what memory of others may have missed, the limits have not.
    values[_SENDER] = around.window.hour_count
    values[_SENDER_COUNT_24H] = around.window.day_count
    values[_SENDER_SUM_24H] = around.window.day_sum_minor
    return values


def _within_a_month(moments_us: Sequence[int], now_us: int) -> int:
    # Nearly nobody has any. One of a clock ahead of ours counts: it has happened, whatever the time.
    return sum(at_us > now_us - _MONTH_US for at_us in moments_us) if moments_us else 0


def _age_seconds(since_us: int, now_us: int) -> int:
    return (now_us - since_us) // _SECOND_US if 0 < since_us < now_us else 0
