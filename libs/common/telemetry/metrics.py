"""The metrics that all services share. Each is listed once, with its unit in its name.

Label values are bounded: routes are templates, codes come from the error tree, groups and topics from the code.
"""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

# 0.5 is a bucket of its own, because an alert asks for the share of requests slower than 500 ms.
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_COUNTS: Final = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000)

HTTP_REQUEST_SECONDS: Final = Histogram(
    "http_server_request_duration_seconds",
    "Time from the request's first byte to the answer's last, by route template.",
    ("http_request_method", "http_route", "http_response_status_code"),
    buckets=_SECONDS,
)
BATCH_SECONDS: Final = Histogram(
    "messaging_process_duration_seconds",
    "Time one unit of work took, a batch of messages, without the waiting between retries.",
    ("messaging_consumer_group_name",),
    buckets=_SECONDS,
)
BATCH_MESSAGES: Final = Histogram(
    "tallystick_messaging_batch_messages",
    "Messages in one unit of work.",
    ("messaging_consumer_group_name",),
    buckets=_COUNTS,
)
BATCH_RETRIES: Final = Counter(
    "tallystick_messaging_batch_retries_total",
    "Units of work repeated because something was unavailable, by error code.",
    ("messaging_consumer_group_name", "code"),
)
PARKED_MESSAGES: Final = Counter(
    "tallystick_messaging_parked_total",
    "Messages set aside as dead letters, by cause code.",
    ("messaging_consumer_group_name", "code"),
)
OLDEST_DEAD_LETTER_SECONDS: Final = Gauge(
    "tallystick_messaging_oldest_dead_letter_seconds",
    "How long ago the oldest message that waits for people first failed; 0 when none waits. Above an hour it is "
    "DeadLettersWait.",
    ("messaging_consumer_group_name",),
)
SENT_MESSAGES: Final = Counter(
    "messaging_client_sent_messages_total",
    "Messages handed to the broker.",
    ("messaging_destination_name",),
)
SEND_FAILURES: Final = Counter(
    "tallystick_messaging_send_failures_total",
    "Batches whose delivery the broker did not acknowledge.",
    ("messaging_destination_name",),
)
CONSUMER_LAG_RECORDS: Final = Gauge(
    "tallystick_messaging_consumer_lag_records",
    "Records the broker has that this group has not processed; one carries up to 500 messages.",
    ("messaging_consumer_group_name",),
)
AUDIT_ENTRIES: Final = Counter(
    "tallystick_audit_entries_total",
    "Entries written into the audit log, by service, action of the permission matrix and outcome.",
    ("service", "action", "outcome"),
)
AUDIT_LOST: Final = Counter(
    "tallystick_audit_entries_lost_total",
    "Refusals and reads that could not be written into the audit log, and are not in it.",
    ("service",),
)
OUTBOX_SWEPT: Final = Counter(
    "tallystick_outbox_swept_total",
    "Outbox rows published by the sweeper because the process that wrote them did not.",
    ("schema",),
)
