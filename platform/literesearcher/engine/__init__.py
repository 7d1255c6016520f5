"""Model backends behind one port: openai (any compatible server) and extractive (no language model)."""
