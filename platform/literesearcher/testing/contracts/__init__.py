"""Contract suites: what every implementation of a port must pass. Subclass one in a test and hand it a subject."""
