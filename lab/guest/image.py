# SPDX-License-Identifier: Apache-2.0
"""The guest's kernel and ramdisk, built from Debian's cloud kernel, busybox and the sources in ``guest/``."""

import contextlib
import gzip
import hashlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.core import layout
from lab.core.command import run
from lab.core.errors import LabError

SOURCES = Path(__file__).parent / "sources"
CACHE = layout.CACHE / "guest"
BUSYBOX = Path("/bin/busybox")
KERNEL_PACKAGE = "linux-image-cloud-amd64"
#: Modules for the guest's virtual hardware, without their dependencies.
MODULES = ("virtio_pci", "virtio_net", "virtio_blk", "virtio_scsi", "sd_mod")
#: Dependencies of a module in its .modinfo section.
DEPENDS = re.compile(rb"\0depends=([^\0]*)\0")


@dataclass(frozen=True)
class GuestImage:
    """The files that a guest boots from, and the library that QEMU needs with TCG. They are never changed."""

    folder: Path

    @property
    def kernel(self) -> Path:
        """The kernel."""
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        """The ramdisk with the guest's whole system."""
        return self.folder / "initrd"

    @property
    def tcg_shim(self) -> Path:
        """The library to preload into QEMU."""
        return self.folder / "tcg_shim.so"

    @classmethod
    def ensure(cls, cache: Path = CACHE) -> "GuestImage":
        """Return the image of the present sources. Build it if it is not in the cache."""
        kernel = _ensure_kernel(cache)
        image = cls(cache / f"image-{_digest(kernel)}")
        with _new_folder(image.folder) as new:
            if new:
                _build(cls(new), kernel)
        return image


def _digest(kernel: Path) -> str:
    """Return a digest of the inputs of an image, for the name of its folder."""
    digest = hashlib.sha256(repr((kernel.resolve().name, MODULES)).encode())
    for source in (*sorted(SOURCES.iterdir()), Path(__file__)):
        digest.update(source.name.encode() + source.read_bytes())
    return digest.hexdigest()[:12]


@contextlib.contextmanager
def _new_folder(folder: Path) -> Iterator[Path | None]:
    """Yield a temporary folder that is renamed to ``folder`` at the end, or None if ``folder`` exists."""
    if folder.exists():
        yield None
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        new = Path(temporary, folder.name)
        new.mkdir()
        yield new
        with contextlib.suppress(OSError):  # another process was faster
            new.rename(folder)


def _ensure_kernel(cache: Path) -> Path:
    """Return the unpacked kernel package. Download it if it is not in the cache."""
    kernel = cache / "kernel"
    with _new_folder(kernel) as new:
        if new:
            package = _retried_with_update(lambda: _download(new.parent))
            run("dpkg-deb", "--extract", str(package), str(new))
    return kernel


def _download(folder: Path) -> Path:
    """Download the package that the kernel's metapackage depends on, without installing it."""
    depends = re.search(r"Depends: (linux-image-\S+)", run("apt-cache", "depends", KERNEL_PACKAGE))
    if depends is None:
        raise LabError(f"apt lists no kernel that {KERNEL_PACKAGE} depends on")
    result = subprocess.run(
        ["apt-get", "download", depends[1]], cwd=folder, capture_output=True, text=True, check=False
    )
    packages = list(folder.glob("*.deb"))
    if result.returncode or not packages:
        raise LabError(f"'apt-get download {depends[1]}' failed: {result.stderr.strip()}")
    return packages[0]


def _retried_with_update(download: Callable[[], Path]) -> Path:
    """Download; if that fails, retry with new package lists, as old ones list removed packages."""
    try:
        return download()
    except LabError:
        run("apt-get", "update")
        return download()


def _build(image: GuestImage, kernel: Path) -> None:
    shutil.copy(next(kernel.glob("boot/vmlinuz-*")), image.kernel)
    run(
        "gcc",
        "-O2",
        "-Wall",
        "-shared",
        "-fPIC",
        "-o",
        str(image.tcg_shim),
        str(SOURCES / "tcg_shim.c"),
        "-ldl",
    )
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        for name in ("service", "memory_checker"):
            run("gcc", "-O2", "-Wall", "-static", "-s", "-o", str(root / name), str(SOURCES / f"{name}.c"))
        (root / "bin").mkdir()
        shutil.copy(BUSYBOX, root / "bin" / "busybox")
        shutil.copy(SOURCES / "init", root / "init")
        (root / "init").chmod(0o755)
        _add_modules(root, kernel)
        image.initrd.write_bytes(gzip.compress(_cpio(root), 9))


def _add_modules(root: Path, kernel: Path) -> None:
    """Copy the modules, and write the order in which they are loaded."""
    folder = root / "modules"
    folder.mkdir()
    files = {path.stem.replace("-", "_"): path for path in kernel.rglob("*.ko")}
    order = _load_order(files)
    for name in order:
        shutil.copy(files[name], folder / f"{name}.ko")
    (folder / "order").write_text("".join(f"{name}\n" for name in order))


def _load_order(files: dict[str, Path]) -> list[str]:
    order: list[str] = []

    def visit(name: str) -> None:
        if name in order:
            return
        depends = DEPENDS.search(files[name].read_bytes())
        for needed in depends[1].decode().split(",") if depends and depends[1] else ():
            visit(needed.replace("-", "_"))
        order.append(name)

    for name in MODULES:
        visit(name)
    return order


def _cpio(root: Path) -> bytes:
    names = "".join(f"{path.relative_to(root)}\n" for path in sorted(root.rglob("*")))
    command = [str(BUSYBOX), "cpio", "-o", "-H", "newc"]
    return subprocess.run(command, cwd=root, input=names.encode(), capture_output=True, check=True).stdout
