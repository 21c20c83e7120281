"""What other services have a customer told by e-mail: of his money and of his machines, not of his log-in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from libs.common.money import ASSET_EXPONENTS, format_minor

PER_HOUR_MAX: Final = 20
"""Notices that one customer is mailed in an hour: a thousand held transfers do not fill his mailbox."""

ABOUT_LOG_IN: Final = "log-in/"
"""How the names of notices begin that accounts itself gives about somebody's log-in."""

_BECAUSE: Final = {
    "gone": "Its receiver answered 410, which asks us never to call again.",
    "failed_for_three_days": "Its receiver did not take an event for three days.",
}


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to tell one customer. Told twice it has the same `name`, and is mailed once."""

    user_id: str
    name: str
    subject: str = field(repr=False)
    text: str = field(repr=False)


def held_money_notice(
    *, user_id: str, transfer_id: str, amounts_minor: Mapping[str, int], shard: int, journal_index: int, moment: str
) -> Notice:
    """Return that money which is held is on its way to him; `moment` is RFC 3339 UTC."""
    amounts = " and ".join(_amount(amount_minor, asset) for asset, amount_minor in sorted(amounts_minor.items()))
    return Notice(
        user_id,
        f"held-money/{shard}/{journal_index}",
        "Money is on its way to you",
        f"""Hello,

somebody is sending you {amounts}. It is held: it will be yours when the hold ends well, and goes back otherwise.

Transfer: {transfer_id}
When: {moment}

Log in to see how it stands. If you have not been verified yet, it may wait for that.
""",
    )


def webhook_disabled_notice(*, user_id: str, webhook_id: str, because: str, moment: str) -> Notice:
    """Return that nothing is sent to a webhook of his any more; `moment` is RFC 3339 UTC."""
    return Notice(
        user_id,
        f"webhook-disabled/{webhook_id}/{moment}",
        "A webhook of yours was disabled",
        f"""Hello,

we send nothing more to one of your webhooks. {_BECAUSE[because]}

Webhook: {webhook_id}
When: {moment}

When its receiver works again, enable it: what it has not taken is sent first.
""",
    )


def _amount(amount_minor: int, asset: str) -> str:
    # A worker learns of new assets from the bus, perhaps a moment later than this.
    return format_minor(amount_minor, asset) if asset in ASSET_EXPONENTS else f"an amount of {asset}"
