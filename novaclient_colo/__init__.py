# SPDX-License-Identifier: Apache-2.0
"""Client of COLO fault tolerance: the Python API, ``nova`` and ``openstack`` commands.

``client.make_client(session)`` gives a novaclient whose ``fault_tolerance`` is a
:class:`novaclient_colo.fault_tolerance.FaultToleranceManager`.
"""
