import numpy as np
import pytest
import torch
from monai.utils import set_determinism
from scipy.ndimage import center_of_mass

from common.cine import RandSwingd


def disc(frames=16, side=40):
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    picture = torch.sigmoid(8 - torch.hypot(rows - 19.5, columns - 19.5))
    return picture[None, ..., None].repeat(1, 1, 1, frames)


def test_moves_the_whole_picture_on_a_closed_path_and_keeps_its_area():
    item = {"image": disc()}
    moved = RandSwingd("image", most_px=5.0, prob=1.0).set_random_state(3)(item)["image"]
    assert moved.shape == (1, 40, 40, 16) and torch.equal(item["image"], disc())
    area = moved.sum((0, 1, 2))
    assert area / area[0] == pytest.approx(1.0, abs=0.01)
    places = np.array([center_of_mass(moved[0, ..., frame].numpy()) for frame in range(16)])
    steps = np.diff(np.vstack([places, places[:1]]), axis=0)
    assert 0.5 < np.abs(places - 19.5).max() <= 7.1  # 5 px and two fifths of it, the second harmonic
    assert np.abs(steps).max() < np.abs(np.ptp(places, axis=0)).max() / 2, "no jump where the beat begins again"


def test_turns_about_the_middle():
    bar = torch.zeros(1, 33, 33, 8)
    bar[:, 16, 4:29] = 1
    swing = RandSwingd("image", most_px=1e-6, most_degrees=30.0, prob=1.0).set_random_state(1)
    moved = swing({"image": bar})["image"]
    angles = []
    for frame in range(8):
        rows, columns = np.nonzero(moved[0, ..., frame].numpy() > 0.4)
        angles.append(np.degrees(np.arctan(np.polyfit(columns, rows, 1)[0])))
    assert 1.0 < np.ptp(angles) < 84.0


def test_leaves_slices_alone_without_a_way_and_repeats_by_its_seed():
    image = torch.randn(1, 12, 12, 8)
    assert RandSwingd("image", prob=1.0)({"image": image})["image"] is image
    assert RandSwingd("image", most_px=3.0, prob=0.0)({"image": image})["image"] is image
    swing = RandSwingd("image", most_px=3.0, prob=1.0)
    first, second = (swing.set_random_state(7)({"image": image})["image"] for _ in range(2))
    assert torch.equal(first, second)
    set_determinism(None)
    with pytest.raises(ValueError, match="expected 0 or more, found -1"):
        RandSwingd("image", most_px=-1)
