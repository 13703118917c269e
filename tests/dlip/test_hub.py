"""torch.hub: from a clone without dlip installed, and from an installed wheel."""

import importlib.util
import inspect
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
import torch

from dlip.hub import hubconf
from dlip.models import DigitCNN, DigitSSD, EfficientNetLite0, GapCNN, PatchGAN, UNet

ROOT = Path(__file__).parents[2]
ENTRIES = [
    "colorizer",
    "digit_cnn",
    "digit_ssd",
    "edges2clothes",
    "efficientnet_lite0",
    "fast_style",
    "gap_cnn",
    "patch_gan",
    "unet",
]


def run(code, *path, cwd):
    """Run code in a fresh Python that finds the installed packages and `path`, but not dlip.

    Without the module `site` (-S), links to folders elsewhere, which is how dlip is installed
    here, are not followed.
    """
    packages = sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    begin = f"import sys; sys.path[:] += {[*map(str, path), *packages]!r}\n"
    command = [sys.executable, "-S", "-I", "-c", begin + code]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_from_a_clone_without_dlip_installed(tmp_path):
    # torch.hub keeps a copy of owner/repo's branch main under this name, and uses it offline.
    (tmp_path / "owner_repo_main").symlink_to(ROOT)
    code = f"""
import importlib.util, torch
assert importlib.util.find_spec("dlip") is None
torch.hub.set_dir({str(tmp_path)!r})
model = torch.hub.load({str(ROOT)!r}, "efficientnet_lite0", source="local")
print(torch.hub.list("owner/repo:main", trust_repo=True))
print(torch.hub.help("owner/repo:main", "unet", trust_repo=True).splitlines()[0])
print(sum(p.numel() for p in model.parameters()), model.training)
gap_cnn = torch.hub.load("owner/repo:main", "gap_cnn", trust_repo=True, classes=3)
print(gap_cnn(torch.rand(2, 1, 28, 28)).shape)
import dlip; print(dlip.__file__)
"""
    assert run(code, cwd=tmp_path) == [
        str(ENTRIES),
        "UNet: from an image to an image of the same size.",
        "4652008 False",
        "torch.Size([2, 3])",
        str(ROOT / "dlip" / "__init__.py"),
    ]


def test_from_an_installed_wheel(tmp_path):
    build = "import sys, hatchling.build; print(hatchling.build.build_wheel(sys.argv[1]))"
    command = [sys.executable, "-c", build, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    installed = tmp_path / "installed"
    zipfile.ZipFile(tmp_path / done.stdout.split()[-1]).extractall(installed)
    assert not (installed / "hubconf.py").exists()
    folder = installed / "dlip" / "hub"
    code = f"""
import torch, dlip
assert dlip.__file__.startswith({str(installed)!r})
model = torch.hub.load({str(folder)!r}, "efficientnet_lite0", source="local")
print(sum(p.numel() for p in model.parameters()), model.training)
print(torch.hub.load({str(folder)!r}, "digit_cnn", source="local")(torch.rand(1, 1, 28, 28)).shape)
"""
    assert run(code, installed, cwd=tmp_path) == ["4652008 False", "torch.Size([1, 10])"]


def test_the_clone_s_entries_are_those_of_dlip():
    spec = importlib.util.spec_from_file_location("hubconf_of_the_clone", ROOT / "hubconf.py")
    clone = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(clone)
    assert clone.__all__ == hubconf.__all__ == sorted(["dependencies", *ENTRIES])
    for name in hubconf.__all__:
        assert getattr(clone, name) is getattr(hubconf, name)


def test_only_documented_functions_are_entries():
    # torch.hub takes for an entry whatever can be called and has no leading underscore.
    public = [name for name in dir(hubconf) if not name.startswith("_")]
    entries = [name for name in public if callable(getattr(hubconf, name))]
    assert entries == ENTRIES
    for name in entries:
        assert len(inspect.getdoc(getattr(hubconf, name))) > 300


def test_dependencies_are_names_that_can_be_imported():
    for name in hubconf.dependencies:
        assert importlib.util.find_spec(name)


def test_the_folder_hides_no_module_of_python():
    folder = Path(hubconf.__file__).parent
    assert not {path.stem for path in folder.glob("*.py")} & set(sys.stdlib_module_names)


@pytest.mark.parametrize(
    ("make", "kind", "shape", "result"),
    [
        (lambda: hubconf.efficientnet_lite0(), EfficientNetLite0, (3, 64, 64), (1000,)),
        (lambda: hubconf.efficientnet_lite0(False, 5), EfficientNetLite0, (3, 64, 64), (5,)),
        (lambda: hubconf.digit_cnn(classes=3, dropout=0.2), DigitCNN, (1, 28, 28), (3,)),
        (lambda: hubconf.gap_cnn(classes=4, channels=3), GapCNN, (3, 20, 20), (4,)),
        (lambda: hubconf.patch_gan(3, 4, 1), PatchGAN, (3, 12, 12), (1, 4, 4)),
        (lambda: hubconf.colorizer(), UNet, (1, 32, 32), (2, 32, 32)),
        (lambda: hubconf.edges2clothes(), UNet, (1, 28, 28), (1, 28, 28)),
        (lambda: hubconf.unet(3, 2, 4, 2, False), UNet, (3, 9, 9), (2, 9, 9)),
    ],
)
def test_entries(make, kind, shape, result):
    model = make()
    assert type(model) is kind
    assert model.eval()(torch.rand(1, *shape)).shape == (1, *result)


def test_entry_of_the_detector():
    trained, fresh = hubconf.digit_ssd(), hubconf.digit_ssd(False, classes=3, channels=3)
    assert type(trained) is type(fresh) is DigitSSD
    assert not trained.training
    assert fresh(torch.rand(1, 3, 96, 96))[1].shape == (1, 4536, 4)
    with pytest.raises(ValueError, match="for 10 classes and 1 channel, got classes=3"):
        hubconf.digit_ssd(classes=3)


def test_weights_are_learnt_ones_only_if_asked_for():
    means = [hubconf.efficientnet_lite0(asked).features.stem.norm.running_mean for asked in (1, 0)]
    assert means[0].abs().sum() > 0
    assert means[1].abs().sum() == 0


def test_errors():
    for name in ("digit_cnn", "gap_cnn", "unet"):  # they have no weights to ask for
        with pytest.raises(TypeError, match="pretrained"):
            getattr(hubconf, name)(pretrained=True)
    with pytest.raises(ValueError, match="weights are for 1000 classes, got classes=10"):
        hubconf.efficientnet_lite0(classes=10)
    with pytest.raises(ValueError, match="classes to be at least 1, got 0"):
        hubconf.gap_cnn(classes=0)
