# SPDX-License-Identifier: Apache-2.0
"""JSON schemas of requests and responses, one module per concern. They also make up the OpenAPI document."""
