# SPDX-License-Identifier: Apache-2.0
"""Horizon's configuration."""

from lab.cloud.config.ini import Sections
from lab.cloud.config.uwsgi import uwsgi_ini
from lab.cloud.spec import REGION, Spec
from lab.core.layout import REPO

_SETTINGS = """\
# Horizon's settings.py does "from local.local_settings import *" and only appends its own folder to sys.path.
# So a package "local" earlier on the path takes precedence, and nothing is written into site-packages.
import openstack_dashboard.local.enabled

if {enabled!r} not in openstack_dashboard.local.enabled.__path__:
    openstack_dashboard.local.enabled.__path__.append({enabled!r})

exec(open({snippet!r}).read())
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
LOCAL_PATH = {local!r}
SECRET_KEY = {secret_key!r}
WEBROOT = "/"
STATIC_ROOT = {static!r}
COMPRESS_OFFLINE = True
TIME_ZONE = "UTC"
OPENSTACK_HOST = "127.0.0.1"
OPENSTACK_KEYSTONE_URL = {auth_url!r}
OPENSTACK_KEYSTONE_DEFAULT_DOMAIN = "default"
OPENSTACK_KEYSTONE_DEFAULT_REGION = {region!r}
OPENSTACK_API_VERSIONS = {{"identity": 3, "image": 2}}
OPENSTACK_NEUTRON_NETWORK = {{
    "enable_router": False, "enable_quotas": False, "enable_ipv6": False, "enable_ha_router": False,
    "enable_fip_topology_check": False,
}}
CACHES = {{
    "default": {{"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": {cache!r}}},
}}
SESSION_ENGINE = "django.contrib.sessions.backends.cache"
# With offline compression, Horizon's pages have the style sheets of the last theme only. Other themes import
# from "default".
AVAILABLE_THEMES = {themes!r}
SELECTABLE_THEMES = AVAILABLE_THEMES[-1:]
DEFAULT_THEME = {theme!r}
CONSOLE_TYPE = None
LOGGING = {{
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {{"line": {{"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}}}},
    "handlers": {{"stderr": {{"class": "logging.StreamHandler", "formatter": "line"}}}},
    "root": {{"handlers": ["stderr"], "level": "WARNING"}},
}}
"""


def local_settings(spec: Spec) -> str:
    """Return local_settings.py."""
    folder = spec.layout.prefix / "horizon"
    return _SETTINGS.format(
        theme=spec.state.theme,
        themes=[(name, name, f"themes/{name}") for name in dict.fromkeys(("default", spec.state.theme))],
        enabled=str(REPO / "enabled"),
        snippet=str(REPO / "local_settings.d" / "_1155_fault_tolerance.py"),
        local=str(folder),
        secret_key=spec.passwords["horizon-secret-key"],
        static=str(folder / "static"),
        cache=str(folder / "cache"),
        auth_url=spec.auth_url,
        region=REGION,
    )


def uwsgi_conf(spec: Spec) -> Sections:
    """Return the uWSGI configuration for Horizon and its static files."""
    options = uwsgi_ini(spec, "horizon", "openstack_dashboard.wsgi:application", threads=8)
    return {"uwsgi": {**options, "static-map": f"/static={spec.layout.prefix / 'horizon' / 'static'}"}}
