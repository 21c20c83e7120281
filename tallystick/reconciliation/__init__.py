"""Reconciliation for people: where the services are found, and what is printed of a run."""
