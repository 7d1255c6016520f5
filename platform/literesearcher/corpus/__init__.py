"""The local environment: ingestion, full-text index and page store."""
