# SPDX-License-Identifier: Apache-2.0
"""The configuration files of the services: one module per service, each a function from the lab's description to text."""
