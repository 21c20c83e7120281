"""What the ledger alone can do, and what makes it slower."""
