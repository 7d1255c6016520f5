"""The `literesearcher` command, and the one place where an embedded process is put together."""
