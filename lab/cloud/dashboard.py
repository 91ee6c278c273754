# SPDX-License-Identifier: Apache-2.0
"""Prepare Horizon: its settings, and its static files, which are built only when their inputs change."""

import hashlib
import shutil
from pathlib import Path

from lab.cloud.config import horizon
from lab.cloud.config.ini import render
from lab.cloud.services import program
from lab.cloud.spec import Spec
from lab.core.layout import CACHE, REPO, add_to_cache, write_private
from lab.core.process import Supervisor

_INPUT_SUFFIXES = {".html", ".scss", ".css", ".js", ".svg", ".png", ".py"}


def write_settings(spec: Spec) -> None:
    """Write Horizon's configuration files."""
    etc = spec.layout.etc
    write_private(etc / "horizon" / "local" / "__init__.py", "")
    write_private(etc / "horizon" / "local" / "local_settings.py", horizon.local_settings(spec))
    write_private(etc / "uwsgi" / "horizon.ini", render(horizon.uwsgi_conf(spec)))
    for folder in ("static", "cache"):
        (spec.layout.prefix / "horizon" / folder).mkdir(mode=0o700, parents=True, exist_ok=True)


def make_static_files(spec: Spec, supervisor: Supervisor) -> None:
    """Collect and compress the static files, or copy them from the cache, unless nothing has changed."""
    stamp = spec.layout.done / "horizon-static"
    wanted = _inputs_digest(spec.state.theme)
    if stamp.exists() and stamp.read_text() == wanted:
        return
    supervisor.stop(["horizon"])  # a running one has the names of the old files in memory
    stamp.unlink(missing_ok=True)
    static, cached = spec.layout.prefix / "horizon" / "static", CACHE / f"horizon-{wanted[:12]}"
    shutil.rmtree(static, ignore_errors=True)
    if cached.exists():
        shutil.copytree(cached, static)
    else:
        _make(spec, supervisor)
        add_to_cache(static, cached)
    write_private(stamp, wanted)


def _make(spec: Spec, supervisor: Supervisor) -> None:
    environment = {
        "PYTHONPATH": str(spec.layout.etc / "horizon"),
        "DJANGO_SETTINGS_MODULE": "openstack_dashboard.settings",
    }
    for command in (("collectstatic", "--noinput", "-v", "0"), ("compress", "--force")):
        supervisor.run("setup-horizon", (program("python"), "-m", "django", *command), environment)


def _inputs_digest(theme: str) -> str:
    """Return a digest of their inputs: Horizon's version, settings and theme, and the plugin's files."""
    digest = hashlib.sha256((REPO / "constraints.txt").read_bytes() + theme.encode())
    digest.update(Path(horizon.__file__).read_bytes())
    for folder in (REPO / "colo_dashboard", REPO / "enabled"):
        for path in sorted(folder.rglob("*")):
            if path.suffix in _INPUT_SUFFIXES and (path.suffix != ".py" or folder.name == "enabled"):
                digest.update(str(path.relative_to(REPO)).encode() + path.read_bytes())
    return digest.hexdigest()
