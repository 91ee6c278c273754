# SPDX-License-Identifier: Apache-2.0
"""The API: a filter in nova-api's paste pipeline. What is not ours passes through it unchanged."""

from nova_colo.api.filter import factory

__all__ = ["factory"]
