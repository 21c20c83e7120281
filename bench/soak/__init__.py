"""Load for long, with faults, and a look at everything that could grow."""
