import copy

import numpy as np
import pytest
import torch
from monai.data import CacheDataset, MetaTensor
from monai.transforms import Compose

from common.cine import CoverFrames, CoverPatches, LocalPixelShuffle, RandCorruptCined

SLICE = np.arange(1 * 40 * 36 * 8, dtype=np.float32).reshape(1, 40, 36, 8)


def test_uses_at_least_one_corruption_and_every_combination():
    corrupt = RandCorruptCined("image").set_random_state(seed=0)
    combinations = set()
    for _ in range(300):
        corrupt.randomize()
        combinations.add(tuple(corrupt.chosen))
    assert () not in combinations and len(combinations) == 7


def test_each_is_used_as_often_as_its_probability_and_the_forced_choice_say():
    corrupt = RandCorruptCined("image", probability=0.2).set_random_state(seed=1)
    uses = []
    for _ in range(2000):
        corrupt.randomize()
        uses += corrupt.chosen
    expected = 0.2 + 0.8**3 / 3  # drawn, or the one of three where none was drawn
    for name in ("shuffle", "patches", "frames"):
        assert uses.count(name) / 2000 == pytest.approx(expected, abs=0.04)


@pytest.mark.parametrize("left_out", ["shuffle", "patches", "frames"])
def test_a_name_left_out_is_never_used(left_out):
    names = [name for name in ("shuffle", "patches", "frames") if name != left_out]
    corrupt = RandCorruptCined("image", corruptions=names).set_random_state(seed=2)
    for _ in range(60):
        corrupt.randomize()
        assert corrupt.chosen and left_out not in corrupt.chosen


@pytest.mark.parametrize(
    ("name", "alone"), [("shuffle", LocalPixelShuffle), ("patches", CoverPatches), ("frames", CoverFrames)]
)
def test_one_name_alone_does_what_its_transform_does(name, alone):
    both = RandCorruptCined("image", corruptions=(name,), probability=1).set_random_state(seed=3)
    both.R.random_sample(1)  # the draw for the name
    expected = alone().set_random_state(state=both.R)(SLICE)
    same = RandCorruptCined("image", corruptions=name, probability=1).set_random_state(seed=3)({"image": SLICE})
    assert np.array_equal(same["image"], expected)


def test_settings_reach_the_corruptions():
    corrupt = RandCorruptCined(
        "image", windows_per_frame=7, max_side=3, mode="pixels", max_patches=2, area=(0.2, 0.3), groups=4, max_length=1
    )
    shuffle, patches, frames = corrupt.corruptions.values()
    assert (shuffle.windows_per_frame, shuffle.max_side, shuffle.mode) == (7, 3, "pixels")
    assert (patches.max_patches, patches.area) == (2, (0.2, 0.3))
    assert (frames.groups, frames.max_length) == (4, 1)


@pytest.mark.parametrize("names", [(), ("shuffle", "blur"), "rows"])
def test_refuses_no_names_and_unknown_ones(names):
    with pytest.raises(ValueError, match=r"one or more of \['frames', 'patches', 'shuffle'\], found"):
        RandCorruptCined("image", corruptions=names)


def test_refuses_a_probability_in_percent():
    with pytest.raises(ValueError, match="0 to 1, found 50"):
        RandCorruptCined("image", probability=50)


def test_keeps_the_untouched_slice_as_the_label():
    item = {"image": MetaTensor(SLICE, meta={"case": "p1"}), "case": "p1"}
    result = RandCorruptCined("image", "target").set_random_state(seed=4)(item)
    assert np.array_equal(result["target"], SLICE) and not np.array_equal(result["image"], SLICE)
    assert isinstance(result["image"], MetaTensor) and result["image"].meta["case"] == "p1"
    assert set(item) == {"image", "case"} and np.array_equal(item["image"], SLICE)


def test_takes_one_label_a_key():
    item = {"first": SLICE, "second": SLICE + 1}
    result = RandCorruptCined(["first", "second"], ["a", "b"]).set_random_state(seed=4)(item)
    assert np.array_equal(result["a"], SLICE) and np.array_equal(result["b"], SLICE + 1)
    with pytest.raises(KeyError):
        RandCorruptCined("image")(item)
    assert RandCorruptCined("image", allow_missing_keys=True)(item).keys() == item.keys()


def test_compose_seeds_it_and_a_cache_leaves_it_out():
    def samples(seed):
        pipeline = Compose([RandCorruptCined("image", "label")]).set_random_state(seed=seed)
        dataset = CacheDataset([{"image": torch.from_numpy(SLICE)}], pipeline, progress=False, num_workers=0)
        return [dataset[0]["image"] for _ in range(3)]

    first, again, other = samples(5), samples(5), samples(6)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], first[1]) and not torch.equal(first[0], other[0])


def test_a_deep_copy_draws_what_the_original_would_have_drawn():
    corrupt = copy.deepcopy(RandCorruptCined("image").set_random_state(seed=9))
    expected = RandCorruptCined("image").set_random_state(seed=9)
    assert np.array_equal(corrupt({"image": SLICE})["image"], expected({"image": SLICE})["image"])
