"""Ten thousand cases are listed before the test times out: nothing is compared with everything."""

import os
import re

import pytest
from monai.bundle import ConfigParser

from tests.bundles.harness import BUNDLES, root

CASES = 10_000
# Files of one case, and the part of their names that tells it from others; the rest of the cohort is left out.
OF_ONE = {
    "cmr_hf_classify": r"(patient)001",
    "doppler_keypoint": r"(doppler)0000",
    "echo_coreecho": r"()[^/]+(?=\.avi)",
    "elasto_flow": r"([a-z]+_)0000",
    "hie_ladp_seg": r"(MGHNICU_)001",
}


@pytest.mark.slow
@pytest.mark.parametrize("bundle", BUNDLES)
def test_ten_thousand_cases_are_listed(bundle, phantom, tmp_path):
    source, pattern = phantom(bundle), re.compile(OF_ONE[bundle])
    names = sorted(path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file())
    first, prefix = next((found[0], found[1]) for name in names if (found := pattern.search(name)))
    for number in range(CASES):
        for name in (name for name in names if first in name):
            copy = tmp_path / name.replace(first, f"{prefix}{number:05d}")
            copy.parent.mkdir(parents=True, exist_ok=True)
            os.link(source / name, copy)
    parser = ConfigParser()
    parser.read_config(str(root(bundle) / "configs" / "inference.json"))
    parser.update({"bundle_root": str(root(bundle)), "dataset_dir": str(tmp_path), "output_dir": str(tmp_path / "out")})
    dataset = parser.get_parsed_content("dataset")
    assert len(dataset.items()) == CASES
