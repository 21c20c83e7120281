"""What the ledger counts, each once, with its unit in its name. Counted per batch, never per transfer."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

OUTCOMES: Final = Counter(
    "tallystick_ledger_outcomes_total",
    "States that transfers reached: posted, held, refused, blocked, voided. Answers given again are not counted.",
    ("status",),
)
QUESTIONS: Final = Counter(
    "tallystick_ledger_outcome_questions_total",
    "Transfers of which fraud asked what became of them, by the state told again; `unknown` got no answer.",
    ("status",),
)
COMMIT_SECONDS: Final = Histogram(
    "tallystick_ledger_commit_duration_seconds",
    "Time one batch took to be sealed, written and committed, or rolled back; a large one is decided meanwhile.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
)
CONFLICTS: Final = Counter(
    "tallystick_ledger_conflicts_total",
    "Batches decided on a state that somebody else had changed; they were decided again.",
)
JOURNAL_RECORDS: Final = Gauge("tallystick_ledger_journal_records", "Records in the journal.", ("shard",))
UNPUBLISHED_RECORDS: Final = Gauge(
    "tallystick_ledger_unpublished_records",
    "Records committed whose outcome the broker has not acknowledged.",
    ("shard",),
)
INTEGRITY_FINDINGS: Final = Counter(
    "tallystick_ledger_integrity_findings_total",
    "Broken promises that a verification found for the first time, by kind. One is enough to halt the shard.",
    ("kind",),
)
VERIFIED_RECORDS: Final = Gauge(
    "tallystick_ledger_verified_records",
    "Size of the journal at its last good verification: a minute's work behind, no more.",
    ("shard",),
)
RECONCILIATIONS: Final = Counter(
    "tallystick_ledger_reconciliations_total",
    "Reconciliations that ended, by scope (all, sample) and verdict (agrees, differs, incomplete).",
    ("scope", "verdict"),
)
RECONCILIATION_DIFFERENCES: Final = Gauge(
    "tallystick_ledger_reconciliation_differences",
    "Differences that the newest reconciliation found, by check; above 0 is TrialBalanceDrift.",
    ("check",),
)
RECONCILIATION_ENDED: Final = Gauge(
    "tallystick_ledger_reconciliation_ended_timestamp_seconds",
    "When the newest whole reconciliation ended that could ask everybody, in seconds since 1970.",
)
