"""A page from its URL to what the model reads of it: fetched, made text, cut or read in chunks, extracted, kept."""
