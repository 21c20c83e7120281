"""Personal data at rest: sealed under a key of each person's own, which is sealed under master keys."""
