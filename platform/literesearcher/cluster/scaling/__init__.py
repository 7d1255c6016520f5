"""How many replicas each application has: pure policies, and the thin classes that Ray Serve calls."""
