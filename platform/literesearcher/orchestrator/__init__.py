"""Claims jobs under a fenced lease and drives the research machine, journalling every step."""
