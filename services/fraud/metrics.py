"""What the fraud service measures, each listed once with its unit; counted per batch, never per message."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

DECISIONS: Final = Counter(
    "tallystick_fraud_decisions_total",
    "Decisions committed for the first time, by verdict.",
    ("verdict",),
)
DECISIONS_REPEATED: Final = Counter(
    "tallystick_fraud_decisions_repeated_total",
    "Stored decisions sent again because they were asked for again.",
)
BATCH_DECISIONS: Final = Histogram(
    "tallystick_fraud_batch_decisions",
    "Decisions in one unit of work.",
    buckets=(1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500),
)
CONFLICTS: Final = Counter(
    "tallystick_fraud_limit_conflicts_total",
    "Units of work undone because another process had moved a user's limits.",
)
SET_ASIDE: Final = Gauge(
    "tallystick_fraud_set_aside_requests",
    "Requests that wait for news of their payee's account or of their asset's rate.",
)
COMMANDS_SCREENED: Final = Counter(
    "tallystick_fraud_commands_screened_total",
    "Captures and reversals decided on for the first time, by command and verdict.",
    ("command", "verdict"),
)
HOLDS_RESOLVED: Final = Counter(
    "tallystick_fraud_holds_resolved_total",
    "Holds that ended here, by resolution.",
    ("resolution",),
)
SLOTS_RELEASED: Final = Counter(
    "tallystick_fraud_limit_slots_released_total",
    "Slots of limits given back.",
)
OUTCOMES_ASKED: Final = Counter(
    "tallystick_fraud_outcomes_asked_total",
    "Questions to the ledger about slots whose outcome was not heard; it counts its answers.",
)
EDGES_HEARD: Final = Counter(
    "tallystick_fraud_payments_heard_total",
    "Payments kept for the first time, to be judged after posting.",
)
EDGES_JUDGED: Final = Counter(
    "tallystick_fraud_payments_judged_total",
    "Payments judged after posting; as many as were heard, some seconds later.",
)
ALERTS: Final = Counter(
    "tallystick_fraud_alerts_total",
    "Findings after posting, by typology, and whether they opened an alert or joined one.",
    ("typology", "became"),
)
REVIEWS_DECIDED: Final = Counter(
    "tallystick_fraud_reviews_decided_total",
    "Reviews that ended by a decision, or because nobody decided in time.",
    ("decision",),
)
REVIEWS_OPEN: Final = Gauge(
    "tallystick_fraud_reviews_open",
    "Held transfers that wait for a reviewer.",
)
REVIEWS_OVERDUE: Final = Gauge(
    "tallystick_fraud_reviews_overdue",
    "Open reviews that should have been decided by now.",
)
OLDEST_REVIEW_SECONDS: Final = Gauge(
    "tallystick_fraud_oldest_review_seconds",
    "How long the oldest open review has waited; 0 when none is open.",
)
SHADOW_JUDGED: Final = Counter(
    "tallystick_fraud_shadow_judged_total",
    "Decisions judged once more by a rule set in the shadow, one for each set; `error` where a set could not be asked.",
    ("outcome",),
)
SHADOW_DROPPED: Final = Counter(
    "tallystick_fraud_shadow_dropped_total",
    "Decisions that no rule set in the shadow judges, because too many waited for it.",
)
SHADOW_WAITING: Final = Gauge(
    "tallystick_fraud_shadow_waiting_decisions",
    "Decisions that wait to be judged by the rule sets in the shadow.",
)
