"""The `literesearcher` command: its subcommands, the terminal, and the one place where objects are put together."""
