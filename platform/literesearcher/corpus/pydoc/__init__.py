"""The built-in corpus: the documentation that every Python installation holds, as pages under `pydoc:` URLs."""
