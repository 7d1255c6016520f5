"""Which Ray this version works with: its extension points change between releases, so it is one.

Owns: the pin, and what to say where Ray is missing or another. Imports nothing of Ray: asking costs milliseconds.
"""

from __future__ import annotations

from importlib import metadata

from literesearcher.errors import ConfigurationError

RAY = "2.60.0"
"""As the extra `cluster` pins it."""


def require_ray() -> None:
    """ConfigurationError where Ray is not installed, or is another version."""
    try:
        found = metadata.version("ray")
    except metadata.PackageNotFoundError:
        raise ConfigurationError(
            "Ray is not installed: pip install 'literesearcher[cluster]'", code="ray_missing"
        ) from None
    if found != RAY:
        raise ConfigurationError(
            f"Ray {found} is installed, and this version works with Ray {RAY}: pip install 'literesearcher[cluster]'",
            code="ray_version",
        )
