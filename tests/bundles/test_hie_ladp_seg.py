"""What only this bundle promises: geometry, the paper's arms by settings, the vote, folds, bad cases beside good."""

import json

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import torch

from common.errors import FailedCasesError
from common.files import read_csv
from tests.bundles.harness import overrides, workflow

BUNDLE = "hie_ladp_seg"
ADC_MEAN = 1350.2495
TURN = sitk.Euler3DTransform()
TURN.SetRotation(0.25, -0.2, 0.4)
DIRECTIONS = {
    "identity": (1, 0, 0, 0, 1, 0, 0, 0, 1),
    "oblique": TURN.GetMatrix(),
    "permuted": (0, 0, 1, 1, 0, 0, 0, 1, 0),
    "flipped": (-1, 0, 0, 0, 1, 0, 0, 0, -1),
}


def write(path, array, direction, spacing=(0.7, 1.3, 2.2)):
    image = sitk.GetImageFromArray(np.ascontiguousarray(array.T))
    image.SetSpacing(spacing)
    image.SetOrigin((11.5, -7.25, 3.125))
    image.SetDirection(direction)
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))


def write_case(folder, name, direction=DIRECTIONS["identity"], seed=0, size=32):
    random = np.random.RandomState(seed)
    adc = random.uniform(600, 2000, (size,) * 3).astype(np.float32)
    adc[:2] = adc[:, -3:] = adc[:, :, :1] = 0
    zmap = np.where(adc > 0, random.uniform(-4, 2, adc.shape), 0).astype(np.float32)
    write(folder / "1ADC_ss" / f"MGHNICU_{name}-VISIT_01-ADC_ss.mha", adc, direction)
    write(folder / "2Z_ADC" / f"Zmap_MGHNICU_{name}-VISIT_01-ADC_smooth2mm_clipped10.mha", zmap, direction)
    return adc


def copying_model(folder):
    """A network whose logit is the normalised ADC: lesion where the ADC is over the data set's mean."""
    folder.mkdir(parents=True)
    state = {"weight": torch.tensor([[[[1.0]], [[0.0]]]]), "bias": torch.zeros(1)}
    torch.save(state, folder / "model.pt")
    (folder / "threshold.json").write_text(json.dumps({"threshold": 0.5}))
    return {"_target_": "torch.nn.Conv2d", "in_channels": 2, "out_channels": 1, "kernel_size": 1}


def infer(settings, configs=("inference.json",)):
    flow = workflow(BUNDLE, list(configs), "inferring", "infer", **settings)
    flow.initialize()
    flow.run()


@pytest.mark.parametrize("tta", [True, False])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_mask_of_a_copying_network_overlays_its_input(direction, tta, tmp_path):
    adc = write_case(tmp_path / "data", "001", DIRECTIONS[direction])
    settings = {"network_def": copying_model(tmp_path / "models"), "slice_size": [32, 32], "tta": tta}
    folders = {"dataset_dir": "data", "model_dir": "models", "output_dir": "out"}
    infer(settings | {key: str(tmp_path / name) for key, name in folders.items()})
    case = "MGHNICU_001-VISIT_01"
    written = sitk.ReadImage(str(tmp_path / "out" / f"{case}_lesion.mha"))
    source = sitk.ReadImage(str(tmp_path / "data" / "1ADC_ss" / f"{case}-ADC_ss.mha"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(written).T, adc >= ADC_MEAN)
    probability = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out" / f"{case}_probability.mha"))).T
    expected = np.where(adc > 0, 1 / (1 + np.exp(-(adc - ADC_MEAN) / 428.13467)), 0)
    np.testing.assert_allclose(probability, expected, atol=1e-5)
    for ask in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
        np.testing.assert_allclose(getattr(written, ask)(), getattr(source, ask)(), rtol=0, atol=1e-6)


def test_two_channel_file_gives_a_mask_of_three_dimensions_on_its_grid(tmp_path):
    random = np.random.RandomState(0)
    adc, zmap = random.uniform(600, 2000, (32, 30, 7)), random.uniform(-4, 2, (32, 30, 7))
    affine = np.eye(4)
    affine[:3, :3] = np.array(DIRECTIONS["oblique"]).reshape(3, 3) * (0.7, 0.7, 2.2)
    affine[:3, 3] = 12, 5, -9
    (tmp_path / "data").mkdir()
    nibabel.save(
        nibabel.Nifti1Image(np.stack([adc, zmap], -1).astype(np.float32), affine), tmp_path / "data" / "p.nii.gz"
    )
    settings = {"network_def": copying_model(tmp_path / "models"), "slice_size": [32, 32]}
    folders = {"dataset_dir": "data", "model_dir": "models", "output_dir": "out"}
    infer(settings | {key: str(tmp_path / name) for key, name in folders.items()})
    mask = nibabel.load(tmp_path / "out" / "p_lesion.nii.gz")
    np.testing.assert_array_equal(np.asarray(mask.dataobj), adc.astype(np.float32) >= ADC_MEAN)
    np.testing.assert_allclose(mask.affine, nibabel.load(tmp_path / "data" / "p.nii.gz").affine, atol=1e-6)


def test_bad_cases_are_named_and_the_good_ones_written(tmp_path):
    data = tmp_path / "data"
    for number in range(1, 5):
        write_case(data, f"{number:03d}", seed=number)
    adc, zmap = (data / folder for folder in ("1ADC_ss", "2Z_ADC"))
    next(zmap.glob("*001*")).unlink()
    next(adc.glob("*004*")).with_name("._MGHNICU_004-VISIT_01-ADC_ss.mha").write_bytes(b"hidden")
    cut = next(adc.glob("*002*"))
    cut.write_bytes(cut.read_bytes()[:5000])
    write(next(zmap.glob("*003*")), np.ones((32, 32, 30), np.float32), DIRECTIONS["identity"])
    settings = {"network_def": copying_model(tmp_path / "models"), "slice_size": [32, 32]}
    folders = {"dataset_dir": "data", "model_dir": "models", "output_dir": "out"}
    with pytest.raises(Exception) as caught:
        infer(settings | {key: str(tmp_path / name) for key, name in folders.items()})
    error = caught.value
    while error.__cause__ is not None:
        error = error.__cause__
    assert isinstance(error, FailedCasesError)
    reasons = {row["case"][8:11]: row["reason"] for row in read_csv(tmp_path / "out" / "failed.csv")}
    assert sorted(reasons) == ["001", "002", "003"]
    assert [row["case"][8:11] for row in read_csv(tmp_path / "out" / "predictions.csv")] == ["004"]
    assert (tmp_path / "out" / "MGHNICU_004-VISIT_01_lesion.mha").is_file()


def replaced(path, old, new):
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))


def test_attacked_cases_fail_in_one_sentence_and_the_others_are_written(tmp_path):
    data = tmp_path / "data"
    names = ["axes", "bomb", "moved", "cut", "../up", "twin", "twin", "labelled"]
    rows = []
    for number, name in enumerate(names):
        write_case(data, f"{number:03d}", seed=number, size=32)
        adc, zmap = (next((data / folder).glob(f"*{number:03d}*")) for folder in ("1ADC_ss", "2Z_ADC"))
        if name in ("moved", "cut"):
            adc.rename(adc.with_suffix(".keep"))
            adc = adc.with_suffix(".nii.gz")
            sitk.WriteImage(sitk.ReadImage(str(zmap)) * 0 + 1000, str(adc))
        rows.append([name, adc, zmap])
    replaced(rows[0][1], b"NDims = 3", b"NDims = 900")
    replaced(rows[1][1], b"DimSize = 32 32 32", b"DimSize = 40000 40000 4")
    image = nibabel.load(rows[2][1])
    image.set_sform(image.affine + np.diag([0, 0, 0.36, 0]), 1)  # the last corner lies 31 x 0.36 = 11.16 mm further
    image.set_qform(image.get_qform(), 1)
    nibabel.save(image, rows[2][1])
    rows[3][1].write_bytes(rows[3][1].read_bytes()[: int(0.6 * rows[3][1].stat().st_size)])
    lines = [";".join(map(str, row)) for row in (["case", "adc", "zmap"], *rows)]
    (data / "datalist.csv").write_text("\n".join(lines), encoding="utf-16")
    settings = {"network_def": copying_model(tmp_path / "models"), "slice_size": [32, 32]}
    folders = {"dataset_dir": "data", "model_dir": "models", "output_dir": "out/run"}
    with pytest.raises(RuntimeError, match="failures"):  # MONAI's, around FailedCasesError
        infer(settings | {key: str(tmp_path / name) for key, name in folders.items()})
    reasons = {row["case"]: row["reason"] for row in read_csv(tmp_path / "out" / "run" / "failed.csv")}
    assert sorted(reasons) == ["axes", "bomb", "cut", "moved", "twin"]
    for case, words in {"axes": "900", "bomb": "40000 x 40000", "moved": "sform and qform", "cut": ".nii.gz"}.items():
        assert words in reasons[case] and "\n" not in reasons[case] and "ITK ERROR" not in reasons[case]
    assert "found 2 rows of twin" in reasons["twin"]
    written = [row["case"] for row in read_csv(tmp_path / "out" / "run" / "predictions.csv")]
    assert written == ["../up", "labelled"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["run"]
    assert len(list((tmp_path / "out" / "run").glob("*_lesion.mha"))) == 2


def test_models_vote(trained, phantom, tmp_path):
    models = trained(BUNDLE) / "models"
    settings = overrides(BUNDLE, phantom(BUNDLE), tmp_path, model_dirs=[str(models), str(models), str(models)])
    infer(settings, ("inference.json", "inference_ensemble.json"))
    infer(overrides(BUNDLE, phantom(BUNDLE), tmp_path, model_dir=str(models), output_dir=str(tmp_path / "one")))
    masks = sorted((tmp_path / "output").glob("*_lesion.mha"))
    assert len(masks) == 5
    for path in masks:  # models that agree vote as one
        one = sitk.ReadImage(str(tmp_path / "one" / path.name))
        np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(path))), sitk.GetArrayFromImage(one))


ARMS = {
    "DDP, decoder only": ("pretraining", {"objective": "ddp", "decoder_only": True}),
    "DAE": ("pretraining", {"objective": "dae"}),
    "LADP, decoder only": ("pretraining", {"decoder_only": True}),
    "CarveMix": ("training", {"carvemix_probability": 0.5, "pretrained": ""}),
    "baseline": ("training", {"flip_probability": 0.0, "tta": False, "pretrained": ""}),
    "published code": ("training", {"focal_mean_over": "batch", "depth": 16}),
}


@pytest.mark.parametrize("arm", ARMS)
def test_arms_of_the_papers_tables_run_by_settings_alone(arm, phantom, tmp_path):
    run_id, changes = ARMS[arm]
    config = {"pretraining": "pretrain.json", "training": "train.json"}[run_id]
    flow = workflow(BUNDLE, [config], run_id, **overrides(BUNDLE, phantom(BUNDLE), tmp_path, **changes))
    flow.initialize()
    flow.run()
    assert list((tmp_path / "models").glob("*.pt"))


def write_brain(folder, name, voxel_mm, extent_mm):
    """A brain of 60 x 80 x 48 mm with a lesion of 24 x 32 x 24 mm, as NIfTI of two channels."""
    shape = [round(mm / voxel) for mm, voxel in zip(extent_mm, voxel_mm, strict=True)]
    axes = [(np.arange(n) - (n - 1) / 2) * mm for n, mm in zip(shape, voxel_mm, strict=True)]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    brain = (x / 30) ** 2 + (y / 40) ** 2 + (z / 24) ** 2 < 1
    lesion = ((x - 6) / 12) ** 2 + ((y + 8) / 16) ** 2 + (z / 12) ** 2 < 1
    adc = np.where(brain, np.where(lesion, 2000.0, 900.0), 0)
    folder.mkdir(exist_ok=True)
    image = nibabel.Nifti1Image(
        np.stack([adc, np.where(brain, 1.0, 0)], -1).astype(np.float32), np.diag([*voxel_mm, 1])
    )
    nibabel.save(image, folder / f"{name}.nii.gz")


def test_one_brain_has_one_volume_whatever_its_voxels_and_field_of_view(tmp_path):
    brains = {
        "fine": ((1.0, 1.0, 1.0), (128, 128, 60)),
        "middle": ((1.5, 1.5, 1.5), (90, 99, 60)),
        "coarse": ((2.0, 2.0, 2.0), (240, 200, 60)),
        "known": ((0.94, 0.94, 4.0), (120.32, 120.32, 64)),
    }
    for name, (voxel_mm, extent_mm) in brains.items():
        write_brain(tmp_path / "data", name, voxel_mm, extent_mm)
    settings = {
        "network_def": copying_model(tmp_path / "models"),
        "slice_size": [128, 128],
        "voxel_mm": [0.94, 0.94, 4.0],
    }
    folders = {"dataset_dir": "data", "model_dir": "models", "output_dir": "out"}
    infer(settings | {key: str(tmp_path / name) for key, name in folders.items()})
    rows = {row["case"]: row for row in read_csv(tmp_path / "out" / "predictions.csv")}
    exact_ml = 4 / 3 * np.pi * 12 * 16 * 12 / 1000
    for name, (voxel_mm, _) in brains.items():
        assert float(rows[name]["lesion_ml"]) == pytest.approx(exact_ml, rel=0.03), name
        mask, source = (nibabel.load(tmp_path / part) for part in (f"out/{name}_lesion.nii.gz", f"data/{name}.nii.gz"))
        assert mask.shape == source.shape[:3] and np.allclose(mask.affine, source.affine)
        assert ("voxels of" in rows[name]["doubts"]) == (voxel_mm[2] < 2 or voxel_mm[0] > 1.88), rows[name]["doubts"]
        assert "brain of 12" in rows[name]["doubts"]  # 4 / 3 pi 30 x 40 x 24 mm: 120.6 ml
    assert "voxels of 2 x 2 x 2 mm differ from those of the weights, 0.94 x 0.94 x 4 mm" in rows["coarse"]["doubts"]
