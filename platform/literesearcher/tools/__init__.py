"""What the model may call: search and visit, their providers, the fetch chain, extraction and the URL guard."""
