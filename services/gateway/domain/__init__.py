"""Pure: requests, outcomes, idempotency."""
