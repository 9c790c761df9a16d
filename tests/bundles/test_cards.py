"""Model cards state what the metadata states: every held-out figure with its interval stands in the card, rounded."""

import json
import re

import pytest

from common.commands.study_file import read_study
from tests.bundles.harness import BUNDLES, root

NUMBER = re.compile(r"(?<![\w.])-?(?:\d+\.?\d*|\.\d+)")
CASES = [(bundle, name) for bundle in BUNDLES for name in read_study(bundle, "weights")["held_out"]["figures"]]


def numbers(text):
    """Every number of a text as written; `.93-.98` and `.93 to .98` are two numbers."""
    return NUMBER.findall(re.sub(r"(?<=\d)-(?=[.\d])", " ", text))


def says(written, value):
    """Whether `written` is `value` rounded to as many decimals, of which there is at least one."""
    decimals = len(written.partition(".")[2])
    return decimals > 0 and abs(float(written) - value) <= 0.5000001 * 10**-decimals


@pytest.mark.parametrize(("text", "found"), [("0.35±0.89 [.21 to .48]", 4), ("F1 .93-.98", 2), ("-4.5 (-5.1--3.9)", 3)])
def test_numbers_are_read_as_people_write_them(text, found):
    assert len(numbers(text)) == found


@pytest.mark.parametrize(("bundle", "name"), CASES, ids=[f"{bundle}-{name}" for bundle, name in CASES])
def test_card_states_the_held_out_figure_with_its_interval(bundle, name):
    figures = json.loads((root(bundle) / "configs" / "metadata.json").read_text())["eval_metrics"]
    value, low, high = (figures[f"{name}{end}"] for end in ("", "_low", "_high"))
    found = numbers((root(bundle) / "docs" / "README.md").read_text())
    intervals = [k for k in range(1, len(found) - 1) if says(found[k], low) and says(found[k + 1], high)]
    assert any(says(written, value) for k in intervals for written in found[max(0, k - 3) : k]), (value, low, high)
