# SPDX-License-Identifier: Apache-2.0
"""Properties are checked for what they say, however long a busy machine takes for it."""

from hypothesis import HealthCheck, settings

settings.register_profile("unit", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unit")
