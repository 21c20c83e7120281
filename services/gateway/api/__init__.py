"""HTTP: parse, call a use case or a view, answer."""
