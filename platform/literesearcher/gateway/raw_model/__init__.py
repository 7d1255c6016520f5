"""The raw model behind the OpenAI routes: a server elsewhere, or an engine of this process."""
