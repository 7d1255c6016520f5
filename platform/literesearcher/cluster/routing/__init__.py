"""Which replica takes a turn."""
