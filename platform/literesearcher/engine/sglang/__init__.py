"""SGLang in this process: the model that LiteResearcher-4B was published with, driven by token ids.

Owns: everything that knows SGLang. Refuses to know: Ray, jobs, HTTP. SGLang itself is imported when it starts.
"""
