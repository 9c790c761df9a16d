"""Usage examples in docstrings, run as they stand there."""

import doctest
import inspect
import sys
from importlib import import_module
from pathlib import Path

import pytest
import torch
from torch import nn

import common

ROOT = Path(common.__file__).parent
METHODS = ("adc", "cine", "doppler", "echo", "rf")
WITH_EXAMPLES = [path for path in sorted(ROOT.rglob("*.py")) if ">>>" in path.read_text(encoding="utf-8")]


def name_of(path):
    return ".".join(("common", *path.relative_to(ROOT).with_suffix("").parts))


def modules_with_networks_and_losses():
    """Names of the modules whose torch modules configs may name."""
    offered = [value for method in METHODS for value in vars(import_module(f"common.{method}")).values()]
    return sorted({value.__module__ for value in offered if inspect.isclass(value) and issubclass(value, nn.Module)})


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=name_of)
def test_examples_give_what_they_show(path):
    torch.manual_seed(0)
    result = doctest.testmod(import_module(name_of(path)))
    assert result.attempted and not result.failed


@pytest.mark.parametrize("name", modules_with_networks_and_losses())
def test_networks_and_losses_come_with_an_example(name):
    assert any(test.examples for test in doctest.DocTestFinder().find(sys.modules[name]))
