"""Settings: one frozen section a room or provider, read from LITERESEARCHER_* names and a `.env` file."""
