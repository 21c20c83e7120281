"""What kyc counts beyond every service's metrics."""

from typing import Final

from prometheus_client import Counter

CHANGES_REPEATED: Final = Counter(
    "tallystick_kyc_changes_repeated_total", "Recent verification states sent to the bus once more."
)
DECISIONS: Final = Counter(
    "tallystick_kyc_decisions_total", "Reviewers' decisions, by `approve` or `reject`.", ("decision",)
)
