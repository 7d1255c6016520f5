"""How often, how many at once, and whether at all: what the governor asks before a request goes out."""
