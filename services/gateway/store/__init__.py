"""Tables: SQL in, domain objects out."""
