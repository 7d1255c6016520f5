"""The checkpoint with Hugging Face Transformers alone: one generation at a time, in this process."""
