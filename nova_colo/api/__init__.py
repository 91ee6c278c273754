# SPDX-License-Identifier: Apache-2.0
"""The API: a filter in nova-api's paste pipeline, which passes all other requests on unchanged."""

from nova_colo.api.filter import factory

__all__ = ["factory"]
