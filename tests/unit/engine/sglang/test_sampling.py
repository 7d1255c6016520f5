"""What of a request's sampling never reaches SGLang."""

from __future__ import annotations

import pytest

from literesearcher.engine.port import GenerationRequest
from literesearcher.engine.sglang.sampling import sampling_params
from literesearcher.errors import BoundaryError
from literesearcher.research.messages import Sampling


def test_min_p_is_refused_where_sglangs_scheduler_would_end_at_it():
    request = GenerationRequest("job", (), Sampling(min_p=0.1), 10)
    assert sampling_params(request)["min_p"] == 0.1
    with pytest.raises(BoundaryError, match="min_p cannot be used") as caught:
        sampling_params(request, deterministic=True)
    assert (caught.value.code, caught.value.transient) == ("engine_rejected", False)
    assert sampling_params(GenerationRequest("job", (), Sampling(), 10), deterministic=True)["min_p"] == 0.0
