"""What the published inference script asks of a model by OpenAI's client, but for the model's name."""

from __future__ import annotations

from typing import Any

PUBLISHED: dict[str, Any] = {
    "messages": [{"role": "system", "content": "You are a researcher. 谁"}, {"role": "user", "content": "Who?\n"}],
    "stop": ["\n<tool_response>", "<tool_response>"],
    "temperature": 0.6,
    "top_p": 0.95,
    "frequency_penalty": 0.0,
    "logprobs": True,
    "max_tokens": 10_000,
    "presence_penalty": 1.1,
    "extra_body": {"top_k": 20, "min_p": 0.0, "repetition_penalty": 1.0},
}
