"""How fast a large book is read."""
