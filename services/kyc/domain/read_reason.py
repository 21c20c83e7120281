"""Why staff read what customers said or sent; the audit log keeps it, so it is a word of ours and no text."""

from typing import Literal

ReadReason = Literal["review", "investigation", "customer_request", "legal_request"]
