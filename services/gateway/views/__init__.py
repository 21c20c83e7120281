"""Read-only SQL for answers."""
