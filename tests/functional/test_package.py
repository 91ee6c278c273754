# SPDX-License-Identifier: Apache-2.0
"""The wheel contains everything that a cloud needs, and nothing of the lab or the tests."""

import pathlib
import subprocess
import sys
import zipfile

import pytest

REPO = pathlib.Path(__file__).resolve().parents[2]
PACKAGES = ("colo_dashboard", "nova_colo", "novaclient_colo")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    tracked = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=REPO, capture_output=True, text=True, check=True
    )
    for name in tracked.stdout.splitlines():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((REPO / name).read_bytes())
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        str(folder),
        str(source),
    ]
    subprocess.run(command, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path).namelist()


def test_every_file_of_the_packages_is_in_the_wheel(wheel):
    wanted = {
        str(path.relative_to(REPO))
        for package in PACKAGES
        for path in (REPO / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    }
    # translations are compiled, and their sources are part of a source distribution only
    wanted |= {name.removesuffix(".po") + ".mo" for name in wanted if name.endswith(".po")}
    assert wanted - set(wheel) == set()


@pytest.mark.parametrize("folder", ["enabled", "local_settings.d"])
def test_the_files_that_enable_the_panels_are_in_the_wheel(wheel, folder):
    shipped = {pathlib.Path(name).name for name in wheel if f"share/colo-dashboard/{folder}/" in name}
    assert shipped == {path.name for path in (REPO / folder).glob("*.py")}


def test_the_lab_and_the_tests_are_not(wheel):
    assert {name.split("/")[0] for name in wheel if not name.startswith("colo_dashboard-")} == set(PACKAGES)
