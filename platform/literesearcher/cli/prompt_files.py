"""The prompts in force: the shipped wording, or the files that an operator names.

Owns: which settings name them. Refuses to know: jobs, engines; replicas of tools need prompts and nothing of those.
"""

from __future__ import annotations

from literesearcher.research.prompts import Prompts
from literesearcher.settings.model import Settings
from literesearcher.settings.prompts import read_prompt_file

SYSTEM_PROMPT_FILE = "LITERESEARCHER_RESEARCH__SYSTEM_PROMPT_FILE"


def read_prompts(settings: Settings) -> Prompts:
    """The shipped wording, or the files that an operator names. Raises ConfigurationError."""
    research = settings.research
    return Prompts.of(
        system=read_prompt_file(research.system_prompt_file, SYSTEM_PROMPT_FILE),
        extractor=read_prompt_file(
            research.extractor_prompt_file,
            "LITERESEARCHER_RESEARCH__EXTRACTOR_PROMPT_FILE",
            holding=("{webpage_content}", "{goal}"),
        ),
    )
