"""What accounts counts beyond every service's metrics."""

from typing import Final

from prometheus_client import Counter

LOGINS: Final = Counter(
    "tallystick_accounts_logins_total", "Logins by result, `accepted`, `refused` or `locked`.", ("result",)
)
REFRESH_TOKENS_REUSED: Final = Counter(
    "tallystick_accounts_refresh_tokens_reused_total", "Refresh tokens presented a second time; their family was ended."
)
ACCOUNTS_ASKED_AGAIN: Final = Counter(
    "tallystick_accounts_asked_again_total", "Accounts the ledger was asked again to open, because no answer came."
)
CHANGES_REPEATED: Final = Counter(
    "tallystick_accounts_changes_repeated_total", "Recent states sent to the bus once more, by topic.", ("topic",)
)
MAILS: Final = Counter(
    "tallystick_accounts_mails_total",
    "Mails by what became of a try: `sent`, `later`, or given up as `refused` or `undeliverable`.",
    ("result",),
)
