"""What the system does per second, and what that costs: measured over HTTP, counted in the ledger's own tables."""
