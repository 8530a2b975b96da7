"""Room 04: what goes wrong, where, and what people say about it."""
