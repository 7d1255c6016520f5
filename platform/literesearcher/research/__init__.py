"""The ReAct agent as a sans-IO machine: messages, parsing, rendering, limits, memory, prompts. Pure."""
