"""Every example in a docstring of dlip runs and prints what it says."""

import doctest
import importlib
import inspect
import pkgutil

import matplotlib.pyplot as plt
import pytest

import dlip

MODULES = ["dlip"] + [
    module.name
    for module in pkgutil.walk_packages(dlip.__path__, "dlip.")
    if not module.name.rpartition(".")[2].startswith("_")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    plt.switch_backend("agg")
    module = importlib.import_module(name)
    failed, _ = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_every_public_function_has_an_example_and_the_usual_sections(name):
    module = importlib.import_module(name)
    for public in module.__all__:
        function = inspect.unwrap(getattr(module, public))
        if not inspect.isfunction(function):
            continue
        text = inspect.getdoc(function)
        assert ">>> " in text, public
        if inspect.signature(function).parameters:
            assert "Parameters\n---" in text, public
            assert "Raises\n---" in text, public
        if function.__annotations__["return"] is not None:
            assert "Returns\n---" in text, public
