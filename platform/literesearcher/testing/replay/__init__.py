"""Replay: recorded rollouts served back as a model, a search provider and a page reader, and checked as they go by."""
