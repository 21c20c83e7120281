"""What other rules would have decided: stored decisions made again, counted and shown."""
