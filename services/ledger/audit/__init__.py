"""The ledger's second opinion: everything it has promised, recomputed without the engine that promised it."""
