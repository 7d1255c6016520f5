"""The one owner of the clock and of retries, for every room that waits."""
