# SPDX-License-Identifier: Apache-2.0
"""axe-core, which looks at a page in the browser for what bars people from it."""

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
#: Horizon's own on all of its pages: where one is, the cross of its dialogs, the arrows that it gives to fields for numbers.
HORIZONS_OWN = [".breadcrumb", ".modal-header .close", ".themable-spinner-btn"]


def source() -> str:
    """Return its code: from the npm registry, once."""
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
    """Return what is seriously wrong with a part of the page: rule, help and the elements concerned."""
    browser.execute_script(code)
    found: dict[str, Any] = browser.execute_async_script(
        "const [part, others, done] = arguments;"
        "axe.run({include: [part], exclude: others.map((other) => [other])}, {resultTypes: ['violations']})"
        ".then(done, (error) => done({error: String(error)}));",
        part,
        HORIZONS_OWN,
    )
    assert "error" not in found, found["error"]
    return [
        f"{issue['id']}: {issue['help']}: " + "; ".join(node["html"][:200] for node in issue["nodes"][:3])
        for issue in found["violations"]
        if issue["impact"] in SERIOUS
    ]
