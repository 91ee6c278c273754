# SPDX-License-Identifier: Apache-2.0
"""The API: a filter in nova-api's paste pipeline. All other requests pass through it unchanged."""

from nova_colo.api.filter import factory

__all__ = ["factory"]
