import csv
import json

import nibabel
import numpy as np
import pytest
import SimpleITK
import torch
from ignite.engine import Engine

from common.data import FailureLog
from common.rf import (
    ElastographyResults,
    LoadRfPaird,
    RefineDisplacementd,
    RfSettings,
    quality_map,
    rf_pairs,
    simulate_rf_ultrasound,
    trusted_strain,
)
from common.rf.results import _write_image
from tests.full_disk import full_disk


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rf")
    settings = {"samples": 320, "lines": 40, "strain_percent": (1.0, 1.0), "shift_samples": 0.5}
    simulate_rf_ultrasound(folder, cases=2, noise_db=(40, 40), decorrelation=(0, 0), **settings)
    return folder


def pair(folder, index=0, **settings):
    return LoadRfPaird(RfSettings(frame_interval_ms=20.0), needs_answer=True, **settings)(rf_pairs(folder)[index])


def exact(item):
    return torch.cat([item["displacement"], -item["displacement"]])


def write(output, items, displacements, refine=None, **settings):
    failures = FailureLog(output)
    handler = ElastographyResults(failures, window=21, **settings)

    def give(engine, batch):
        item, displacement = batch
        engine.state.batch = [item]
        if refine is None:
            return [{"pred": displacement}]
        result = refine({**item, "pred": displacement})
        return [{key: result[key] for key in ("pred", "network", "method", "ncc_fraction")}]

    engine = Engine(give)
    handler.attach(engine)
    engine.run(list(zip(items, displacements, strict=True)))
    with (output / "predictions.csv").open() as stream:
        return list(csv.DictReader(stream)), failures.failures()


def test_the_refined_answer_and_the_networks_own_are_written(folder, tmp_path):
    item = pair(folder)
    off = exact(item)
    off[1] += 0.4
    (row,), _ = write(tmp_path, [item], [off], refine=RefineDisplacementd("pred"))
    values = {
        name: SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / f"{item['case']}_{name}.nii.gz")))
        for name in ("displacement", "network_displacement", "strain", "network_strain")
    }
    network, refined = (values[name][30:-30, 4:-4, 1] for name in ("network_displacement", "displacement"))
    axial = item["displacement"][1].numpy()[30:-30, 4:-4]
    np.testing.assert_allclose(network / item["sample_mm"], axial + 0.4, atol=1e-4)
    assert np.sqrt(np.mean((refined / item["sample_mm"] - axial) ** 2)) < 0.05
    assert row["method"] == "network and GLUE" and float(row["ncc_fraction"]) < 0.05
    assert float(row["network_reliable_fraction"]) > 0.9
    assert json.loads((tmp_path / f"{item['case']}.json").read_text())["method"] == "network and GLUE"


def test_strain_is_marked_where_the_frames_do_not_match(folder, tmp_path):
    item = pair(folder)
    item["post"][:, 200:] = torch.randn(item["post"][:, 200:].shape, generator=torch.Generator().manual_seed(0))
    (row,), _ = write(tmp_path, [item], [exact(item)])
    strain = np.asarray(nibabel.load(tmp_path / f"{item['case']}_strain.nii.gz").dataobj).squeeze().T
    assert np.isnan(strain[250:]).mean() > 0.95 and np.isfinite(strain[30:120, 4:-4]).mean() > 0.9
    assert 0.3 < float(row["reliable_fraction"]) < 0.7
    assert float(row["mean_strain_percent"]) == pytest.approx(100 * float(item["strain"][:, :160].mean()), abs=0.15)


@pytest.mark.parametrize("image_format", [".nii.gz", ".mha"])
def test_images_hold_millimetres_and_geometry(folder, tmp_path, image_format):
    item = pair(folder, depth_samples=[20, None])
    write(tmp_path, [item], [exact(item)], image_format=image_format)
    image = SimpleITK.ReadImage(str(tmp_path / f"{item['case']}_displacement{image_format}"))
    assert image.GetSize() == (40, 300)
    assert image.GetSpacing() == pytest.approx((0.3, item["sample_mm"]), rel=1e-5)
    assert image.GetOrigin()[1] == pytest.approx(20 * item["sample_mm"], rel=1e-5)
    values = SimpleITK.GetArrayFromImage(image)
    np.testing.assert_allclose(values[..., 1], item["displacement"][1] * item["sample_mm"], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(values[..., 0], item["displacement"][0] * 0.3, rtol=1e-4, atol=1e-6)
    strain = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / f"{item['case']}_strain{image_format}")))
    np.testing.assert_allclose(np.nanmedian(strain), np.median(item["strain"]), rtol=0.05)
    assert (tmp_path / f"{item['case']}.png").stat().st_size > 10_000


def test_table_has_displacement_and_velocity(folder, tmp_path):
    item = pair(folder)
    (row,), failures = write(tmp_path, [item], [exact(item)])
    reliable = trusted_strain(item["pre"], item["post"], exact(item), 21).reliable
    axial = float(item["displacement"][1].numpy()[reliable].mean()) * item["sample_mm"]
    assert float(row["mean_axial_displacement_mm"]) == pytest.approx(axial, abs=1e-4)
    assert float(row["mean_axial_velocity_mm_s"]) == pytest.approx(axial / 0.02, abs=1e-3)
    assert row["remark"] == "" and failures == []
    result = json.loads((tmp_path / f"{item['case']}.json").read_text())
    assert (result.pop("doubts"), row["doubts"]) == ([], "")
    assert {key: str(value) for key, value in result.items() if key in row} == {k: row[k] for k in row if k in result}
    assert result["method"] == row["method"] == "network"
    assert "not a medical device" in result["note"]


def test_frames_without_overlap_are_marked(folder, tmp_path):
    item, other = pair(folder, 0), pair(folder, 1)
    mixed = {**item, "post": other["post"]}
    (row,), _ = write(tmp_path, [mixed], [exact(item)])
    assert "do not match" in row["remark"] and row["doubts"] == row["remark"]
    assert float(row["median_correlation"]) < 0.5
    good = quality_map(item["pre"], item["post"], exact(item))
    assert np.median(good) > 0.9 > 0.5 > np.median(quality_map(mixed["pre"], mixed["post"], exact(item)))


def test_quality_is_zero_where_both_ways_disagree(folder):
    item = pair(folder)
    displacement = exact(item)
    displacement[3, :, 20:] += 3
    quality = quality_map(item["pre"], item["post"], displacement)
    assert not quality[:, 22:].any() and quality[:, :18].any()


def test_without_geometry_a_pair_fails_with_the_remedy_and_the_others_are_written(folder, tmp_path):
    items = [pair(folder, 0), pair(folder, 1)]
    items[0] = {**items[0], "sample_mm": float("nan")}
    rows, failures = write(tmp_path, items, [exact(item) for item in items])
    assert len(rows) == 1
    assert "sampling_mhz" in failures[0]["reason"]


@pytest.mark.parametrize("limit", [0, 300, 2000])
@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".mha"])
def test_a_full_disk_is_reported_and_leaves_no_image(tmp_path, suffix, limit, capfd):
    values = np.random.default_rng(0).normal(size=(2, 40, 30)).astype(np.float32)
    values[0, :5] = np.nan
    _write_image(tmp_path / f"whole{suffix}", values, (0.3, 0.02), (0.0, 1.0))
    before = set(tmp_path.iterdir())
    with (
        full_disk(limit),
        pytest.raises(OSError, match=rf"a{suffix}: expected to write a whole file, found less on disk"),
    ):
        _write_image(tmp_path / f"a{suffix}", values, (0.3, 0.02), (0.0, 1.0))
    assert set(tmp_path.iterdir()) == before


def test_refuses_other_image_formats(tmp_path):
    with pytest.raises(ValueError, match=r"'\.png'"):
        ElastographyResults(FailureLog(tmp_path), image_format=".png")
