"""Usage examples in docstrings, run as they stand there."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest
import torch

import common

ROOT = Path(common.__file__).parent
WITH_EXAMPLES = [path for path in sorted(ROOT.rglob("*.py")) if ">>>" in path.read_text(encoding="utf-8")]
NETWORKS_AND_LOSSES = [path for name in ("network", "loss") for path in sorted(ROOT.glob(f"*/{name}.py"))]


def name_of(path):
    return ".".join(("common", *path.relative_to(ROOT).with_suffix("").parts))


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=name_of)
def test_examples_give_what_they_show(path):
    torch.manual_seed(0)
    result = doctest.testmod(import_module(name_of(path)))
    assert result.attempted and not result.failed


@pytest.mark.parametrize("path", NETWORKS_AND_LOSSES, ids=name_of)
def test_networks_and_losses_come_with_an_example(path):
    assert path in WITH_EXAMPLES
