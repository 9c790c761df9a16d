import numpy as np
import pytest
import SimpleITK as sitk
import torch
from monai.transforms import Compose

from common.adc import CheckAdcPaird, LoadVolumed, NormalizeAdcPaird, neonatal_case
from common.errors import UnusableFileError

SHAPE = (16, 17, 5)


def maps(seed=0, dtype=np.float32):
    random = np.random.RandomState(seed)
    brain = np.zeros(SHAPE, bool)
    brain[1:5, 1:6] = True
    adc = np.where(brain, random.uniform(900, 1800, SHAPE), 0).astype(dtype)
    zmap = np.where(brain, random.uniform(-4, 2, SHAPE), 0).astype(np.float32)
    return adc, zmap, brain


def pair(**changes):
    adc, zmap, _ = maps()
    image = torch.from_numpy(np.stack([adc, zmap]))
    for (channel, *index), value in changes.get("values", {}).items():
        image[(channel, *index)] = value
    return image


def check(image):
    return CheckAdcPaird("image")({"image": image})["image"]


def normalise(image, **settings):
    return NormalizeAdcPaird("image", **settings)({"image": image})["image"]


def write(path, array, spacing=(0.7, 0.7, 2.2)):
    image = sitk.GetImageFromArray(np.ascontiguousarray(array.T))
    image.SetSpacing(spacing)
    sitk.WriteImage(image, str(path))
    return str(path)


def load(item):
    return Compose([LoadVolumed(["image", "label"], allow_missing_keys=True), CheckAdcPaird("image")])(item)


def reason(item):
    with pytest.raises(Exception) as caught:
        load(item)
    error = caught.value
    while not isinstance(error, UnusableFileError) and error.__cause__ is not None:
        error = error.__cause__
    assert isinstance(error, UnusableFileError)
    return str(error)


def test_normalises_by_the_data_sets_statistics_with_a_constant_background():
    image = normalise(pair(values={(0, 2, 2, 2): 1350.2495 + 428.13467, (1, 2, 2, 2): 0.34669298 - 2 * 2.487756}))
    assert float(image[0, 2, 2, 2]) == pytest.approx(1, abs=1e-5)
    assert float(image[1, 2, 2, 2]) == pytest.approx(-2, abs=1e-5)
    assert bool((image[:, 0] == -6).all())


def test_no_brain_voxel_falls_below_the_background():
    image = normalise(pair(values={(0, 2, 2, 2): 1.0}), means=(1000.0, 0.0), stds=(10.0, 1.0))
    assert float(image.min()) == -6


def test_input_is_left_as_it_was():
    data = {"image": pair(), "case": "a"}
    assert float(NormalizeAdcPaird("image", background=-5.0)(data)["image"].min()) == -5
    assert torch.equal(data["image"], pair())
    with pytest.raises(ValueError, match=r"stds: expected positive"):
        NormalizeAdcPaird("image", stds=(1.0, 0.0))


def test_not_a_number_outside_the_brain_is_background():
    image = check(pair(values={(1, 0, 0, 0): float("nan"), (0, 0, 0, 1): float("inf")}))
    assert torch.equal(image, pair())


@pytest.mark.parametrize(("channel", "value"), [(0, float("nan")), (1, float("nan")), (1, -float("inf"))])
def test_not_a_number_in_the_brain_is_refused(channel, value):
    with pytest.raises(UnusableFileError, match=r"expected finite values in the brain, found 1 voxels"):
        check(pair(values={(channel, 2, 2, 2): value}))


@pytest.mark.parametrize(("channel", "title"), [(0, "ADC"), (1, "Z")])
def test_map_of_zeros_is_refused(channel, title):
    image = pair()
    image[channel] = 0
    with pytest.raises(UnusableFileError, match=f"expected values in the {title} map, found zeros throughout"):
        check(image)


@pytest.mark.parametrize("unit", [1e-6, 1e-3, 0.1, 10.0], ids=["mm2/s", "1e-3 mm2/s", "1e-5 mm2/s", "1e-7 mm2/s"])
def test_adc_in_another_unit_is_refused(unit):
    image = pair()
    image[0] *= unit
    with pytest.raises(UnusableFileError, match=r"expected ADC in 1e-6 mm2/s .* scale it, or swap the maps"):
        check(image)


def test_swapped_and_doubled_maps_are_refused():
    for image in (pair().flip(0), pair()[1:].repeat(2, 1, 1, 1)):
        with pytest.raises(UnusableFileError, match=r"expected ADC in 1e-6 mm2/s .* scale it, or swap the maps"):
            check(image)
    with pytest.raises(UnusableFileError, match=r"expected Z-scores clipped at 10 as the second .*, found 1\d\d\d"):
        check(pair()[:1].repeat(2, 1, 1, 1))


def test_adc_that_no_tissue_has_is_refused():
    image = pair()
    image[0, 1:3, 1:3] = 6000.0  # 20 of 100 brain voxels
    with pytest.raises(UnusableFileError, match=r"expected ADC of 0 to 4000 in 1e-6 mm2/s, found 20% of the brain"):
        check(image)
    image[0, 1:3, 1:3] = -50.0
    with pytest.raises(UnusableFileError, match=r"found 20% of the brain outside"):
        check(image)


def test_z_scores_reach_to_the_clip_and_not_beyond():
    assert float(check(pair(values={(1, 2, 2, 2): -10.0}))[1, 2, 2, 2]) == -10
    with pytest.raises(UnusableFileError, match=r"clipped at 10 .* found 10.5; clip them as BONBID-HIE does"):
        check(pair(values={(1, 2, 2, 2): 10.5}))


def test_z_scores_of_the_wrong_sign_are_refused():
    case = neonatal_case(np.random.default_rng(0), (44, 44, 16), (2.4, 2.4, 5.4), (1.3, 4.5))
    image = torch.from_numpy(np.stack([case.adc, case.zmap])).float()
    assert torch.equal(check(image), image)
    image[1] *= -1
    with pytest.raises(UnusableFileError, match=r"rise with ADC, found a correlation of -0\.\d\d; is their sign"):
        check(image)


def test_other_channel_numbers_are_refused(tmp_path):
    adc, _, _ = maps()
    for count in (1, 3):
        paths = [write(tmp_path / f"{n}.mha", adc) for n in range(count)]
        assert f"expected 2 channels (ADC, Z) of a 3D volume, found shape ({count}, 16, 17, 5)" in reason(
            {"image": paths}
        )


def test_different_grids_and_missing_maps_are_refused(tmp_path):
    adc, zmap, _ = maps()
    first = write(tmp_path / "adc.mha", adc)
    other = write(tmp_path / "z.mha", zmap, spacing=(0.7, 0.7, 2.0))
    assert "spacing off by 0.2 mm" in reason({"image": [first, other]})
    smaller = write(tmp_path / "z2.mha", zmap[:-1])
    assert "size (15, 17, 5) instead of (16, 17, 5)" in reason({"image": [first, smaller]})
    assert "missing Z map of case 7" in reason({"image": [first, "missing Z map of case 7"]})


def test_labels_of_other_values_shapes_and_grids_are_refused(tmp_path):
    adc, zmap, _ = maps()
    image = [write(tmp_path / "adc.mha", adc), write(tmp_path / "z.mha", zmap)]
    label = (zmap < -2).astype(np.uint8)
    bad = {"image": image, "label": write(tmp_path / "l.mha", label * 2)}
    assert "l.mha: expected a label of 0 and 1, found [0.0, 2.0]" in reason(bad)
    bad = {"image": image, "label": write(tmp_path / "l.mha", label[:, :-1])}
    assert "expected a label of (16, 17, 5), found (16, 16, 5)" in reason(bad)
    bad = {"image": image, "label": write(tmp_path / "l.mha", label, spacing=(0.7, 0.8, 2.2))}
    assert "l.mha: expected the grid of" in reason(bad)


def test_label_that_is_not_a_number_is_refused(tmp_path):
    adc, zmap, _ = maps()
    label = (zmap < -2).astype(np.float32)
    label[2, 2, 2] = np.nan
    paths = {"adc": adc, "z": zmap, "label": label}
    adc_path, z_path, label_path = (write(tmp_path / f"{name}.mha", array) for name, array in paths.items())
    found = reason({"image": [adc_path, z_path], "label": label_path})
    assert "label.mha: expected a label of 0 and 1, found [0.0, 1.0, nan]" in found


@pytest.mark.parametrize("lesion", ["none", "one voxel", "at the border"])
@pytest.mark.parametrize("dtype", [np.float32, np.int16])
def test_unusual_but_right_cases_pass(tmp_path, lesion, dtype):
    adc, zmap, _ = maps(dtype=dtype)
    label = np.zeros(SHAPE, np.uint8)
    if lesion == "one voxel":
        label[2, 2, 2] = 1
    elif lesion == "at the border":
        label[:, -1:, 0] = 1
    paths = {"adc": adc, "z": zmap, "label": label}
    adc_path, z_path, label_path = (write(tmp_path / f"{name}.mha", array) for name, array in paths.items())
    item = load({"image": [adc_path, z_path], "label": label_path})
    np.testing.assert_array_equal(item["image"][0].numpy(), adc)
    assert int(item["label"].sum()) == label.sum()


def test_volume_of_one_slice_passes(tmp_path):
    adc, zmap, _ = maps()
    paths = [write(tmp_path / f"{n}.mha", m[..., 2:3]) for n, m in (("adc", adc), ("z", zmap))]
    assert load({"image": paths})["image"].shape == (2, 16, 17, 1)


@pytest.mark.parametrize(
    ("shape", "is_small"), [((4, 4, 3), True), ((15, 40, 12), True), ((5, 16, 20), False)], ids=str
)
def test_slices_too_small_for_a_brain_are_refused_whatever_their_axis(shape, is_small):
    random = np.random.RandomState(1)
    image = torch.from_numpy(np.stack([random.uniform(900, 1800, shape), random.uniform(-4, 2, shape)]))
    if is_small:
        with pytest.raises(UnusableFileError, match=f"at least 16 x 16 voxels, found {' x '.join(map(str, shape))}"):
            check(image)
    else:
        assert torch.equal(check(image), image)
