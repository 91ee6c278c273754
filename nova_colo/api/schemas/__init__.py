# SPDX-License-Identifier: Apache-2.0
"""JSON schemas of requests and answers, one module per concern; the OpenAPI document is made from the same."""
