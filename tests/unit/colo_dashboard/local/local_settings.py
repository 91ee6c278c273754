# SPDX-License-Identifier: Apache-2.0
"""The local_settings of the tests' Horizon: production settings, with our enabled file."""

from pathlib import Path

import openstack_dashboard.local.enabled

openstack_dashboard.local.enabled.__path__.append(str(Path(__file__).parents[4] / "enabled"))

DEBUG = False
SECRET_KEY = "tests only"
ALLOWED_HOSTS = ["testserver"]
WEBROOT = "/"
OPENSTACK_KEYSTONE_URL = "http://127.0.0.1:9/identity/v3"  # each test sets that of its cloud
SESSION_ENGINE = "django.contrib.sessions.backends.cache"
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
# Style sheets and scripts are compiled for browsers only.
COMPRESS_ENABLED = False
COMPRESS_OFFLINE = False
COMPRESS_PRECOMPILERS = ()
TIME_ZONE = "UTC"
exec((Path(__file__).parents[4] / "local_settings.d" / "_1155_fault_tolerance.py").read_text())
LOGGING = {"version": 1, "disable_existing_loggers": False}
