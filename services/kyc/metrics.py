"""What kyc counts beyond every service's metrics."""

from typing import Final

from prometheus_client import Counter, Gauge

CHANGES_REPEATED: Final = Counter(
    "tallystick_kyc_changes_repeated_total", "Recent verification states sent to the bus once more."
)
DECISIONS: Final = Counter(
    "tallystick_kyc_decisions_total",
    "Reviewers' decisions, by `approve`, `reject`, `decline`, `ask`, `suspend` or `resume`.",
    ("decision",),
)
DOCUMENTS_STORED: Final = Counter("tallystick_kyc_documents_stored_total", "Documents stored, by kind.", ("kind",))
DOCUMENTS_REFUSED: Final = Counter(
    "tallystick_kyc_documents_refused_total", "Documents not taken, by the code of the refusal.", ("code",)
)
DOCUMENTS_SHARED: Final = Counter(
    "tallystick_kyc_documents_shared_total", "Documents stored whose content another customer had sent before."
)
DOCUMENT_FILES_DELETED: Final = Counter(
    "tallystick_kyc_document_files_deleted_total", "Files of documents deleted: removed, erased, or never finished."
)
REVIEWS_WAITING: Final = Gauge(
    "tallystick_kyc_reviews_waiting", "Applications and requests for a tier that wait for a reviewer."
)
OLDEST_REVIEW_SECONDS: Final = Gauge(
    "tallystick_kyc_oldest_review_seconds",
    "How long the first in the queue has waited; 0 when none waits. Above a day it is KycBacklog.",
)
