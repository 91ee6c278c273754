# SPDX-License-Identifier: Apache-2.0
"""Everything of Nova that we override or call still exists, with the same signature.

It is derived from our classes: Nova never calls an override that it does not know, and one with a lost or
renamed parameter would fail only when Nova calls it, during a failover.
"""

import ast
import importlib
import inspect
import pathlib

import pytest
from nova.scheduler import filters
from nova.virt import driver as virt_driver
from nova.virt import fake as nova_fake
from nova.virt.libvirt import driver as libvirt_driver

import nova_colo
from nova_colo.scheduler.pair_filter import ColoPairFilter
from nova_colo.virt import fake, leaving, libvirt, mixin

pytestmark = pytest.mark.surface

#: our class, and Nova's class that it extends
PAIRS = [
    *(
        (ours, stock)
        for ours in (mixin.ColoDriverMixin, leaving.LeavesPairMixin)
        for stock in (
            nova_fake.FakeDriverWithoutFakeNodes,
            libvirt_driver.LibvirtDriver,
            virt_driver.ComputeDriver,
        )
    ),
    (fake.ColoFakeDriver, nova_fake.FakeDriverWithoutFakeNodes),
    (libvirt.ColoLibvirtDriver, libvirt_driver.LibvirtDriver),
    (ColoPairFilter, filters.BaseHostFilter),
]


def overrides(ours):
    """Return the names of a class's methods that replace Nova's: public ones, and those that call super()."""
    methods = {
        name: value for name, value in vars(ours).items() if inspect.isfunction(value) and name != "__init__"
    }
    return [
        name
        for name, value in methods.items()
        if name[0] != "_" or f"super().{name}(" in inspect.getsource(value)
    ]


HOOKS = [(ours, stock, name) for ours, stock in PAIRS for name in overrides(ours)]


@pytest.mark.parametrize(
    ("ours", "stock", "name"), HOOKS, ids=lambda value: getattr(value, "__name__", value)
)
def test_an_override_takes_every_call_that_nova_makes(ours, stock, name):
    theirs = getattr(stock, name, None)
    assert theirs is not None, f"{stock.__name__} has no {name} any more, so ours is never called"
    mine = inspect.signature(getattr(ours, name))
    positional, keyword = calls_of(inspect.signature(theirs))
    mine.bind(*positional)
    mine.bind(**keyword)


@pytest.mark.parametrize(
    ("ours", "stock", "name"), HOOKS, ids=lambda value: getattr(value, "__name__", value)
)
def test_an_override_names_its_parameters_as_nova_does(ours, stock, name):
    theirs = list(inspect.signature(getattr(stock, name)).parameters)
    named = [
        p.name
        for p in inspect.signature(getattr(ours, name)).parameters.values()
        if p.kind == p.POSITIONAL_OR_KEYWORD
    ]
    assert theirs[: len(named)] == named


def calls_of(signature):
    """Return the arguments of the longest call, by position and by keyword, that a signature accepts."""
    parameters = signature.parameters.values()
    positional = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    keyword = {p.name: p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    return positional, keyword


def test_other_methods_of_ours_hide_none_of_novas():
    for ours, stock in PAIRS:
        own = {name for name, value in vars(ours).items() if inspect.isfunction(value)} - {
            "__init__",
            *overrides(ours),
        }
        assert not [name for name in own if hasattr(stock, name)]


def imports():
    """Return (module, name) of everything that our package imports from nova."""
    found = set()
    folder = pathlib.Path(nova_colo.__file__).parent
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "nova":
                found |= {(node.module, alias.name) for alias in node.names}
            elif isinstance(node, ast.Import):
                found |= {(alias.name, "") for alias in node.names if alias.name.split(".")[0] == "nova"}
    return sorted(found)


@pytest.mark.parametrize(("module", "name"), imports())
def test_what_we_import_from_nova_is_there(module, name):
    imported = importlib.import_module(module)
    if name and not hasattr(imported, name):
        importlib.import_module(f"{module}.{name}")


def uses():
    """Return (module, attribute) for each attribute of an imported module of Nova that our package uses."""
    found = set()
    for path in pathlib.Path(nova_colo.__file__).parent.rglob("*.py"):
        tree = ast.parse(path.read_text())
        modules = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "nova":
                modules |= {alias.asname or alias.name: (node.module, alias.name) for alias in node.names}
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id in modules
            ):
                found.add((".".join(modules[node.value.id]), node.attr))
    return sorted(found)


@pytest.mark.parametrize(("owner", "attribute"), uses())
def test_what_we_use_of_novas_modules_is_there(owner, attribute):
    module, _, name = owner.rpartition(".")
    holder = getattr(importlib.import_module(module), name, None) or importlib.import_module(owner)
    assert hasattr(holder, attribute)
