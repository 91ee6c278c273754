# SPDX-License-Identifier: Apache-2.0
"""These tests run in the environments of ``make functional``, one per release of Nova; see harness.py."""

import importlib.metadata
import importlib.util
import os

#: Only those environments contain what Nova's fixtures need.
HERE = all(importlib.util.find_spec(name) for name in ("ddt", "oslotest", "wsgi_intercept"))
collect_ignore_glob = [] if HERE else ["*"]

if HERE:
    # The default of each release's nova-compute; must be set before the first import of nova.
    major = int(importlib.metadata.version("nova").split(".")[0])
    os.environ.setdefault("OS_NOVA_DISABLE_EVENTLET_PATCHING", "false" if major < 34 else "true")

    from nova import monkey_patch

    monkey_patch.patch()

    from tests.fixtures.timeouts import pytest_collection_modifyitems

    __all__ = ["pytest_collection_modifyitems"]  # a pytest hook
    if major < 34:
        from tests.fixtures.greenlets import pytest_runtest_protocol  # noqa: F401
