import numpy as np
import torch
from ignite.engine import Engine
from PIL import Image

from common.cine import RestorationPicture


def run(tmp_path, changes):
    """One sample whose frames differ from the original where `changes` says (T boolean masks)."""
    original = torch.rand(1, 16, 16, len(changes), generator=torch.Generator().manual_seed(0))
    image = original.clone()
    for frame, mask in enumerate(changes):
        image[0, ..., frame][mask] += 5
    engine = Engine(lambda engine, batch: [{"image": image, "label": original, "pred": original}])
    RestorationPicture(tmp_path).attach(engine)
    engine.run([[{"case": "a", "section": torch.tensor(1)}]])


def half():
    mask = torch.zeros(16, 16, dtype=torch.bool)
    mask[:8] = True
    return mask


def test_shows_one_row_for_space_and_one_for_time(tmp_path):
    nothing, everything = torch.zeros(16, 16, dtype=torch.bool), torch.ones(16, 16, dtype=torch.bool)
    run(tmp_path, [nothing, half(), everything])
    both = np.asarray(Image.open(tmp_path / "restoration.png")).shape
    run(tmp_path, [nothing, half(), nothing])
    one = np.asarray(Image.open(tmp_path / "restoration.png")).shape
    assert both[1] == one[1] and both[0] > 1.8 * one[0]


def test_shows_nothing_where_nothing_was_corrupted(tmp_path):
    run(tmp_path, [torch.zeros(16, 16, dtype=torch.bool)] * 2)
    assert not (tmp_path / "restoration.png").exists()
