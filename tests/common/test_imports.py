import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("package", ["transforms", "readers"])
def test_a_package_can_be_the_first_one_imported(package):
    # They import each other's modules: in a fresh process a circle shows.
    words = [sys.executable, "-W", "ignore", "-c", f"import common.{package}"]
    finished = subprocess.run(words, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
