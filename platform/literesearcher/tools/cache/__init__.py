"""What tools found before: kept with its provenance, shared between processes, looked up once at a time."""
