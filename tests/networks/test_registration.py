"""Networks of a user's own: by register, by modules, by entry points."""

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from torch import nn

from discerna.errors import SettingsError
from discerna.networks import register
from discerna.networks.architectures import build, find, names
from discerna.networks.registration import import_user_modules, own_names, own_network


def line(num_labels: int, width: int = 4) -> nn.Module:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, num_labels))


def test_plain_and_as_a_decorator():
    assert register("net_a", line, image_size=64) is line

    @register("net_b")
    def other(num_labels: int) -> nn.Module:
        return line(num_labels)

    assert {"net_a", "net_b"} <= set(own_names()) <= set(names())
    assert find("net_a").image_size == 64
    assert find("net_b").image_size == 224
    assert other(3)[2].out_features == 3
    assert build(find("net_b"), 5, {})[2].out_features == 5


def test_importing_it_is_cheap():
    code = "import sys, discerna.networks; print({'torch', 'torchvision'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_names_that_are_taken():
    register("net_a", line)
    with pytest.raises(
        SettingsError, match=r"name is taken: register\('net_a'\).*test_registration\.line has it"
    ):
        register("net_a", line)
    with pytest.raises(SettingsError, match="torchvision has it"):
        register("resnet18", line)


@pytest.mark.parametrize("name", ["", "a/b", "a b", "registry:x", "a=b", "-x", "é", None])
def test_names_that_cannot_be_typed(name):
    with pytest.raises(SettingsError, match="cannot be used"):
        register(name, line)


def test_wrong_registrations():
    with pytest.raises(SettingsError, match="builder cannot be called"):
        register("net_a", 5)
    for size in (0, -1, 1.5, True):
        with pytest.raises(SettingsError, match="it is 1 or more"):
            register("net_a", line, image_size=size)


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of modules in which one stands."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in sys.modules[name].__file__:
            del sys.modules[name]


SOURCE = """
from torch import nn
from discerna.networks import register

@register("net_from_module", image_size=32)
def net(num_labels):
    return nn.Linear(3, num_labels)
"""


def test_modules_in_the_current_folder(modules: Path):
    (modules / "my_nets_of_this_test.py").write_text(SOURCE)
    import_user_modules(["my_nets_of_this_test"])
    assert find("net_from_module").image_size == 32
    import_user_modules(["my_nets_of_this_test"])  # a second command in one process
    assert sys.path[-1] == str(modules), "nothing of the folder may hide a library"


def test_modules_of_a_package(modules: Path):
    (modules / "package_of_this_test").mkdir()
    (modules / "package_of_this_test" / "nets.py").write_text(SOURCE)
    import_user_modules(["package_of_this_test.nets"])
    assert "net_from_module" in own_names()


def test_without_modules_nothing_changes(modules: Path):
    import_user_modules([])
    assert str(modules) not in sys.path


def test_modules_that_fail(modules: Path):
    with pytest.raises(
        SettingsError, match=r"networks\.modules=absent_module; ModuleNotFoundError: No module"
    ):
        import_user_modules(["absent_module"])
    (modules / "broken_of_this_test.py").write_text("raise RuntimeError('two\\nlines')")
    with pytest.raises(SettingsError, match=r"broken_of_this_test; RuntimeError: two lines;"):
        import_user_modules(["broken_of_this_test"])
    (modules / "clash_of_this_test.py").write_text(SOURCE.replace("net_from_module", "vgg11"))
    with pytest.raises(SettingsError, match="torchvision has it"):
        import_user_modules(["clash_of_this_test"])


@pytest.mark.parametrize("module", ["./nets.py", "nets.py", "a/b", "", "my-nets", ".nets"])
def test_paths_are_no_modules(modules: Path, module: str):
    (modules / "nets.py").write_text(SOURCE)
    with pytest.raises(SettingsError, match=r"networks\.modules="):
        import_user_modules([module])


def entries(monkeypatch: pytest.MonkeyPatch, **targets: str) -> None:
    """Pretend that an installed package has these entry points."""
    found = [EntryPoint(name, value, "discerna.networks") for name, value in targets.items()]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: found if "networks" in group else [])


def test_entry_points(monkeypatch: pytest.MonkeyPatch):
    entries(monkeypatch, from_package="torch.nn:Linear", broken="no_such_package:net", no_call="math:pi")
    assert {"from_package", "broken", "no_call"} <= set(own_names())
    assert find("from_package").builder is nn.Linear
    assert own_network("nobody") is None
    with pytest.raises(SettingsError, match="broken = no_such_package:net; ModuleNotFoundError"):
        find("broken")
    with pytest.raises(SettingsError, match="cannot be called"):
        find("no_call")


def test_entry_points_with_a_name_that_is_taken(monkeypatch: pytest.MonkeyPatch):
    register("net_a", line)
    entries(monkeypatch, net_a="torch.nn:Linear", resnet18="torch.nn:Linear")
    for name in ("net_a", "resnet18"):
        with pytest.raises(SettingsError, match="two networks have one name"):
            find(name)
