"""The gateway's own metrics, each listed once."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

INTAKE_LUMP: Final = Histogram(
    "tallystick_gateway_intake_lump_requests",
    "Requests stored by one commit.",
    buckets=(1, 2, 5, 10, 20, 50, 100),
)
REPLAYS: Final = Counter("tallystick_gateway_replays_total", "Requests whose idempotency key was known.")
OUTCOMES: Final = Counter(
    "tallystick_gateway_outcomes_total", "Outcomes projected, by status, repetitions included.", ("status",)
)
WAITING: Final = Gauge("tallystick_gateway_waiting_transfers", "Transfers whose caller waits for the outcome.")
REPEATED: Final = Counter(
    "tallystick_gateway_requests_repeated_total", "Requests sent again because their outcome had not come."
)
UNDECIDED: Final = Gauge(
    "tallystick_gateway_undecided_transfers",
    "Accepted transfers that have waited over 5 s for any outcome; 10,000 stand for more.",
)
OLDEST_UNDECIDED_SECONDS: Final = Gauge(
    "tallystick_gateway_oldest_undecided_seconds", "Age of the oldest of them; 0 when there is none."
)
RATE_LIMITED: Final = Counter("tallystick_gateway_rate_limited_total", "Requests refused by a rate limit.", ("limit",))
STREAMS: Final = Gauge("tallystick_gateway_event_streams", "Streams of events that are open in this process.")
EVENTS_KEPT: Final = Counter(
    "tallystick_gateway_events_total", "Events written for those who listen, repetitions included."
)
AUDIT_SEALED: Final = Counter("tallystick_gateway_audit_entries_sealed_total", "Audit entries chained and signed.")
AUDIT_UNSEALED_SECONDS: Final = Gauge(
    "tallystick_gateway_audit_unsealed_seconds", "Age of the oldest collected audit entry without a seal; 0: none."
)
WEBHOOK_ATTEMPTS: Final = Counter(
    "tallystick_gateway_webhook_attempts_total", "Events sent to webhooks, by what came of it.", ("result",)
)
WEBHOOKS_DISABLED: Final = Counter(
    "tallystick_gateway_webhooks_disabled_total",
    "Webhooks disabled because of their receivers, by reason.",
    ("because",),
)
