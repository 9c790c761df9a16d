"""Ten thousand cases are listed before the test times out, and memory does not grow with those that are done."""

import json
import os
import re
import sys

import pytest
from monai.bundle import ConfigParser

from common.bundle import config_paths
from tests.bundles.harness import BUNDLES, overrides, root, run_command

CASES = 10_000
# Memory after so many cases, and how much of the pictures of those between it may have grown by.
FIRST, LAST, FRACTION = 50, 200, 0.2
# Files of one case, and the part of their names that tells it from others; the rest of the cohort is left out.
OF_ONE = {
    "cmr_hf_classify": r"(patient)001",
    "doppler_keypoint": r"(doppler)0000",
    "echo_coreecho": r"()[^/]+(?=\.avi)",
    "elasto_flow": r"([a-z]+_)0000",
    "hie_ladp_seg": r"(MGHNICU_)001",
}


# Freed memory is given back before each look: what remains is kept by somebody.
WATCHED = """
import ctypes, gc, json, sys
from ignite.engine import Events
from tests.bundles.harness import workflow
bundle, settings, first, last = json.loads(sys.argv[1])
flow = workflow(bundle, ["inference.json"], "inferring", "infer", **settings)
flow.initialize()
evaluator, done, seen, passed = flow.parser.get_parsed_content("evaluator"), 0, {}, 0
def look(engine):
    global done, passed
    for item in engine.state.batch:
        done, passed = done + 1, passed + sum(getattr(value, "nbytes", 0) for value in item.values())
        if done in (first, last):
            gc.collect()
            ctypes.CDLL("libc.so.6").malloc_trim(0)
            seen[done] = (int(open("/proc/self/statm").read().split()[1]) * 4096, passed)
evaluator.add_event_handler(Events.ITERATION_COMPLETED, look)
flow.run()
print("grown", seen[last][0] - seen[first][0], "passed", seen[last][1] - seen[first][1])
"""


def many(bundle, source, folder, cases):
    """Links in `folder` to the files of one case, so often under other names."""
    pattern = re.compile(OF_ONE[bundle])
    names = sorted(path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file())
    first, prefix = next((found[0], found[1]) for name in names if (found := pattern.search(name)))
    for number in range(cases):
        for name in (name for name in names if first in name):
            copy = folder / name.replace(first, f"{prefix}{number:05d}")
            copy.parent.mkdir(parents=True, exist_ok=True)
            os.link(source / name, copy)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("bundle", BUNDLES)
def test_ten_thousand_cases_are_listed(bundle, phantom, tmp_path):
    data = many(bundle, phantom(bundle), tmp_path / "data", CASES)
    parser = ConfigParser()
    parser.read_config(str(root(bundle) / "configs" / "inference.json"))
    parser.update({"bundle_root": str(root(bundle)), "dataset_dir": str(data), "output_dir": str(tmp_path / "out")})
    assert len(parser.get_parsed_content("dataset").items()) == CASES


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("bundle", ["doppler_keypoint", "echo_coreecho"])
def test_no_picture_of_a_finished_case_stays_in_memory(bundle, trained, phantom, tmp_path):
    data = many(bundle, phantom(bundle), tmp_path / "data", LAST)
    # Large clips, beside which it does not count that the allocator keeps a few megabytes now and then.
    more = {"size": 96} if bundle == "echo_coreecho" else {}
    settings = overrides(bundle, data, tmp_path, model_dir=str(trained(bundle) / "models"), **more)
    words = [sys.executable, "-c", WATCHED, json.dumps([bundle, settings, FIRST, LAST])]
    said = run_command(words, tmp_path, timeout=900).stdout.split()
    grown, passed = int(said[-3]), int(said[-1])
    assert passed > 9e7 and grown < FRACTION * passed, f"{grown / passed:.2f} of {passed / 1e6:.0f} MB"


@pytest.mark.parametrize("bundle", BUNDLES)
def test_an_evaluation_caches_no_case_in_memory(bundle):
    parser = ConfigParser()
    parser.read_config(config_paths(root(bundle), ["train.json", "evaluate.json"]))
    may_cache = "cache" in parser["validate"]["dataset"]
    assert not may_cache or parser.get_parsed_content("validate#dataset#cache") == "none"
    assert parser["validate"]["dataset"]["_target_"] in ("common.data.cached_dataset", "Dataset")
