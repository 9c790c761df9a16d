import numpy as np
import pytest
import torch
from monai.transforms import Compose, MapTransform, RandScaleIntensityd

from common.data import cached_dataset


class Count(MapTransform):
    """Turns a number into an image of it and notes each call in a file, which outlives a copy of the transform."""

    def __init__(self, note, factor=1.0):
        super().__init__("image")
        self.note, self.factor = str(note), factor

    def __call__(self, data):
        with open(self.note, "a") as stream:
            stream.write("x")
        return {**data, "image": torch.full((1, 2), self.factor * data["image"])}


def pipeline(note, factor=1.0):
    return Compose([Count(note, factor), RandScaleIntensityd("image", factors=0.5, prob=1.0)])


@pytest.mark.parametrize(("cache", "reads"), [("memory", 3), ("disk", 3), ("none", 6)])
def test_deterministic_transforms_run_once_a_case_unless_nothing_is_kept(tmp_path, cache, reads):
    items = [{"image": float(n)} for n in (1, 2, 3)]
    dataset = cached_dataset(items, pipeline(tmp_path / "note"), cache, tmp_path / "cache")
    rounds = [[float(dataset[index]["image"][0, 0]) for index in range(3)] for _ in range(2)]
    assert len((tmp_path / "note").read_text()) == reads
    assert rounds[0] != rounds[1]  # the random one runs each time
    for values in rounds:
        assert np.all(np.abs(np.array(values) / [1, 2, 3] - 1) <= 0.5)


def test_disk_serves_the_next_run(tmp_path):
    for _ in range(2):
        cached_dataset([{"image": 2.0}], pipeline(tmp_path / "note"), "disk", tmp_path / "cache")[0]
    assert len((tmp_path / "note").read_text()) == 1


def test_disk_does_not_serve_a_run_with_other_settings(tmp_path):
    def value(factor):
        transform = Compose([Count(tmp_path / "note", factor)])
        return float(cached_dataset([{"image": 2.0}], transform, "disk", tmp_path / "cache")[0]["image"][0, 0])

    assert value(1.0) == 2.0
    assert value(3.0) == 6.0


@pytest.mark.parametrize("nested", [False, True])
def test_disk_does_not_serve_a_file_that_has_changed(tmp_path, nested):
    file = tmp_path / "image.txt"

    def read(text):
        file.write_text(text)
        transform = Compose([lambda item: {"text": file.read_text(), "path": item["image"]}])
        item = {"image": [str(file), str(file)] if nested else str(file)}
        return cached_dataset([item], transform, "disk", tmp_path / "cache")[0]["text"]

    assert read("one") == "one" and read("three") == "three"


@pytest.mark.parametrize("arguments", [{"cache": "ram"}, {"cache": "disk"}])
def test_refuses_another_cache_and_a_disk_without_folder(arguments):
    with pytest.raises(ValueError, match="'memory', 'disk' with a cache_dir, or 'none', found"):
        cached_dataset([], Compose([]), **arguments)
