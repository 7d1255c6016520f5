"""Makes real SGLang say given ids: the request runs through scheduler, cache, stop checks and detokenizer as any other,
and only the choice of each token is fixed. Needs SGLang's flag `--enable-custom-logit-processor`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from literesearcher.engine.port import GenerationRequest
from literesearcher.engine.sglang.engine import SglangEngine

FLAG = "--enable-custom-logit-processor"


def processor() -> str:
    """The processor as SGLang takes it: a class by value, since the scheduler's process cannot import this module."""
    from sglang.srt.sampling.custom_logit_processor import CustomLogitProcessor

    class Script(CustomLogitProcessor):
        """Leaves one id possible at each step. The step is counted in the request's own parameters: with the overlap
        scheduler the request's output is a step behind."""

        def __call__(self, logits: Any, custom_param_list: Any = None) -> Any:
            for row, given in enumerate(custom_param_list or ()):
                script = given.get("script") if given else None
                if script:
                    step = given["step"] = given.get("step", -1) + 1
                    logits[row] = float("-inf")
                    logits[row, script[min(step, len(script) - 1)]] = 0.0
            return logits

    # What belongs to the main module is pickled by value.
    Script.__module__ = "__main__"
    made: str = Script.to_str()
    return made


class ScriptedSglang(SglangEngine):
    """An engine whose requests may have a script: `script(request)` gives ids, or None for the model's own."""

    script: Callable[[GenerationRequest], list[int] | None] = staticmethod(lambda request: None)

    def arguments(self, request: GenerationRequest, ids: list[int]) -> dict[str, Any]:
        """As the engine makes them, with the script."""
        arguments = super().arguments(request, ids)
        script = self.script(request)
        if script is not None:
            arguments["custom_logit_processor"] = processor()
            arguments["sampling_params"]["custom_params"] = {"script": script}
        return arguments
