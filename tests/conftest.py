"""Profiles of the property tests: `pytest tests/properties --hypothesis-profile=long` looks longer.

The fast one is the same in every run; a failure of the long one is told with its seed.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile(
    "fast",
    max_examples=20,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=SLOW,
)
settings.register_profile(
    "long",
    max_examples=700,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=SLOW,
)
settings.load_profile("fast")
