"""How many jobs run at once: a pure window over the KV pools, and what asks it."""
