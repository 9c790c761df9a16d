import json

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from ignite.engine import Engine
from monai.data import MetaTensor
from PIL import Image

from common.adc import LesionResults, NoisePicture, draw_lesion_montage, read_volume
from common.data import FailureLog
from common.errors import FailedCasesError
from common.files import read_csv


class Decision:
    threshold = 0.4


def case(folder, name, suffix=".mha", shape=(14, 12, 5), lesion=True):
    path = str(folder / f"{name}{suffix}")
    adc = np.zeros(shape, np.float32)
    adc[2:-2, 2:-2] = 1300.0
    image = sitk.GetImageFromArray(np.ascontiguousarray(adc.T))
    image.SetSpacing((1.0, 2.0, 5.0))
    sitk.WriteImage(image, path)
    affine = torch.diag(torch.tensor([-1.0, -2.0, 5.0, 1.0], dtype=torch.float64))
    maps = MetaTensor(torch.from_numpy(np.stack([adc, -adc / 1000])), affine=affine)
    mask = torch.zeros(1, *shape, dtype=torch.uint8)
    if lesion:
        mask[:, 4:8, 4:7, 1:3] = 1
    item = {"case": name, "maps": maps, "image": MetaTensor(maps, meta={"filename_or_obj": path})}
    return item, {"pred": mask, "shown": mask, "probability": mask * 0.75}


def picture_width(path):
    with Image.open(path) as picture:
        return picture.size[0]


def run(output, cases, **settings):
    def step(engine, pair):
        engine.state.batch = [pair[0]]
        return [pair[1]]

    engine, failures = Engine(step), FailureLog(output)
    LesionResults(failures, Decision(), "model.pt", **settings).attach(engine)
    engine.run(cases)
    failures.finish()


@pytest.mark.parametrize("suffix", [".mha", ".nii.gz"])
def test_each_case_gets_mask_probability_picture_and_numbers(tmp_path, suffix):
    out = tmp_path / "out"
    run(out, [case(tmp_path, "a", suffix), case(tmp_path, "b", suffix, lesion=False)])
    mask, grid = read_volume(out / f"a_lesion{suffix}")
    assert mask.sum() == 4 * 3 * 2
    np.testing.assert_allclose(grid.affine, read_volume(tmp_path / f"a{suffix}")[1].affine, atol=1e-6)
    assert read_volume(out / f"a_probability{suffix}")[0].max() == pytest.approx(0.75)
    numbers = json.loads((out / "a.json").read_text())
    assert numbers["lesion_ml"] == pytest.approx(24 * 10 / 1000)
    assert numbers["percent_of_brain"] == pytest.approx(100 * 24 / (10 * 8 * 5))
    assert numbers["threshold"] == 0.4 and "Research use only" in numbers["note"]
    assert [row["case"] for row in read_csv(out / "predictions.csv")] == ["a", "b"]
    assert not read_volume(out / f"b_lesion{suffix}")[0].any()
    assert picture_width(out / "b.png") > 400


@pytest.mark.parametrize(
    ("brain_ml", "said"),
    [
        (None, ""),
        ((4, 5), ""),
        ((5, 9), "brain of 4 ml, expected 5 to 9: slices are missing"),
        ((1, 3.9), "brain of 4 ml, expected 1 to 3.9: another age"),
    ],
)
def test_a_brain_of_another_size_than_expected_is_doubted(tmp_path, brain_ml, said):
    run(tmp_path / "out", [case(tmp_path, "a")], brain_ml=brain_ml)
    (row,) = read_csv(tmp_path / "out" / "predictions.csv")
    assert row["doubts"].startswith(said) and bool(row["doubts"]) == bool(said)


def test_case_that_cannot_be_written_does_not_take_the_others_down(tmp_path):
    bad = case(tmp_path, "bad")
    (tmp_path / "bad.mha").unlink()
    with pytest.raises(FailedCasesError, match="1 case failed"):
        run(tmp_path / "out", [bad, case(tmp_path, "good")])
    assert (tmp_path / "out" / "good.json").is_file()
    assert [row["case"] for row in read_csv(tmp_path / "out" / "failed.csv")] == ["bad"]
    assert [row["case"] for row in read_csv(tmp_path / "out" / "predictions.csv")] == ["good"]


@pytest.mark.parametrize("depth", [1, 40])
def test_montage_serves_one_slice_and_many(tmp_path, depth):
    adc = np.full((20, 24, depth), 1300.0)
    mask = np.zeros(adc.shape, bool)
    mask[5:9, 5:9] = True
    draw_lesion_montage(tmp_path / "a.png", adc, {"lesion": (mask, "tab:red")}, "a")
    assert picture_width(tmp_path / "a.png") > 400


@pytest.mark.parametrize("depth", [6, 12, 18])
def test_the_note_of_the_side_lies_below_slices_that_fill_every_row(tmp_path, depth):
    adc = np.full((20, 24, depth), 1300.0)
    mask = np.zeros(adc.shape, bool)
    mask[5:9, 5:9, 0] = True
    draw_lesion_montage(tmp_path / "a.png", adc, {"lesion": (mask, "tab:red")}, "a", slices=depth)
    shown = np.asarray(Image.open(tmp_path / "a.png").convert("L")).astype(int)
    grey = np.abs(shown - 255 * 1300 / 2500) < 2
    last = np.flatnonzero(grey[:, -60])[-1]  # in the slice in the lower right corner
    column = shown[last - 100 : last, -100:-30]
    assert (np.abs(column - 255 * 1300 / 2500) < 2).mean() > 0.9, "the last row is a slice"
    assert column.min() > 100 and shown[last + 5 :, -200:].min() < 100, "text is black, and below it"


def test_noise_picture_shows_the_noisiest_slice(tmp_path):
    def step(engine, std):
        engine.state.batch = [{"case": f"std {std}", "slice_number": 2}]
        noise = std * torch.randn(2, 16, 16)
        return [{"image": noise + 1, "label": noise, "pred": noise}]

    picture, engine = NoisePicture(tmp_path), Engine(step)
    picture.attach(engine)
    engine.run([0.5, 2.0, 1.0])
    assert picture._title == "std 2.0, slice 3"
    assert (tmp_path / "noise.png").is_file()
