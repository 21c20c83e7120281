"""The demo: a payroll of 1,000 lines through the whole platform, and the proof that every number is right."""
