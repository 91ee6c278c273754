# SPDX-License-Identifier: Apache-2.0
"""axe-core, which checks a page in the browser for accessibility issues."""

import hashlib
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from selenium.webdriver.remote.webdriver import WebDriver

from lab.core.layout import CACHE
from lab.core.patience import patient

VERSION = "4.14.1"
SHA256 = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
SERIOUS = ("serious", "critical")
#: Issues of Horizon itself on all its pages that have one: the close button of dialogs, the arrows of number
#: fields.
HORIZONS_OWN = [".breadcrumb", ".modal-header .close", ".themable-spinner-btn"]


def source() -> str:
    """Return axe-core's source, which is downloaded once from the npm registry."""
    kept = CACHE / f"axe-core-{VERSION}.min.js"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            command = ["npm", "pack", "--silent", "--pack-destination", folder, f"axe-core@{VERSION}"]
            subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=patient(120))
            (archive,) = Path(folder).glob("*.tgz")
            with tarfile.open(archive) as packed:
                file = packed.extractfile("package/axe.min.js")
                assert file is not None
                kept.write_bytes(file.read())
    code = kept.read_bytes()
    assert hashlib.sha256(code).hexdigest() == SHA256, f"{kept} is not axe-core {VERSION}: remove it"
    return code.decode()


def serious_issues(browser: WebDriver, code: str, part: str = "#content_body") -> list[str]:
    """Return the serious issues of a part of the page: rule, help and elements."""
    browser.execute_script(code)
    result: dict[str, Any] = browser.execute_async_script(
        "const [part, others, done] = arguments;"
        "axe.run({include: [part], exclude: others.map((other) => [other])}, {resultTypes: ['violations']})"
        ".then(done, (error) => done({error: String(error)}));",
        part,
        HORIZONS_OWN,
    )
    assert "error" not in result, result["error"]
    return [
        f"{issue['id']}: {issue['help']}: " + "; ".join(node["html"][:200] for node in issue["nodes"][:3])
        for issue in result["violations"]
        if issue["impact"] in SERIOUS
    ]
