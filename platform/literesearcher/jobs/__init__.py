"""Research jobs: the append-only journal, leases with fences, the inbox, keys, live deltas and wake-ups."""
