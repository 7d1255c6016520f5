"""This process as a driver of a Ray that was started later than Ray was imported."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from literesearcher.cluster.local_ray import LocalRay
from literesearcher.cluster.serving import ServeOperator, connected


@contextmanager
def joined(ray: LocalRay) -> Iterator[ServeOperator]:
    """Let in by its token; the environment is as it was afterwards. Does not end that Ray."""
    from ray._raylet import AuthenticationTokenLoader, Config

    with pytest.MonkeyPatch.context() as patch:
        for name, value in ray.environment.items():
            patch.setenv(name, value)
        # Ray reads these when it is imported, which a test module did before.
        Config.initialize('{"AUTH_MODE":"token"}')
        AuthenticationTokenLoader.instance().reset_cache()
        with connected(ray.address) as operator:
            yield operator
