# SPDX-License-Identifier: Apache-2.0
"""REST clients of the OpenStack services that the engine uses, by keystoneauth1."""
