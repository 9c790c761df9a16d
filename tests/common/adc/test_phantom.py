import numpy as np
import pytest

from common.adc import (
    dice_score,
    neonatal_adc_datalist,
    neonatal_case,
    read_volume,
    simulate_neonatal_adc,
    voxel_spacing_mm,
)
from common.adc.phantom import CLASS_PERCENT

SIZE, SPACING = (64, 64, 16), (2.0, 2.0, 5.0)


@pytest.fixture(scope="module")
def cases():
    return [neonatal_case(np.random.default_rng([0, i]), SIZE, SPACING, CLASS_PERCENT[i % 8]) for i in range(24)]


def test_untrained_rule_scores_about_what_it_does_on_patients(cases):
    scores = [dice_score(case.zmap < -2, case.lesion) for case in cases]
    assert 0.5 < np.mean(scores) < 0.65  # .5828 on the challenge's hidden test


def test_values_are_those_of_a_neonatal_brain(cases):
    adc = np.concatenate([case.adc[case.adc > 0] for case in cases])
    zmap = np.concatenate([case.zmap[(case.adc > 0) & ~case.lesion] for case in cases])
    assert 1200 < adc.mean() < 1500  # 1350 over BONBID-HIE
    assert abs(zmap.mean()) < 0.5 and 0.5 < zmap.std() < 1.3
    assert max(np.abs(case.zmap).max() for case in cases) <= 10


def test_lesions_lie_in_the_brain_and_have_the_size_of_their_class(cases):
    for case, (low, high) in zip(cases, CLASS_PERCENT * 3, strict=True):
        brain = case.adc > 0
        assert not (case.lesion & ~brain).any()
        assert low * 0.9 <= 100 * case.lesion.sum() / brain.sum() <= high * 1.1


def test_outside_the_brain_both_maps_are_exactly_zero(cases):
    for case in cases:
        assert ((case.adc == 0) == (case.zmap == 0)).all()
        assert not case.adc[0].any() and not case.adc[-1].any()


def test_same_seed_writes_the_same_files_whatever_their_number(tmp_path):
    settings = {"size": (32, 40, 8), "spacing_mm": (3.0, 3.0, 10.0), "progress": False}
    for name, count, seed in (("a", 1, 5), ("b", 2, 5), ("c", 1, 6)):
        simulate_neonatal_adc(tmp_path / name, cases=count, seed=seed, **settings)
    first = [(tmp_path / name / "1ADC_ss" / "MGHNICU_001-VISIT_01-ADC_ss.mha").read_bytes() for name in "abc"]
    assert first[0] == first[1] != first[2]
    assert len(list((tmp_path / "b").rglob("*.mha"))) == 6


def test_maps_and_label_share_an_oblique_grid(tmp_path):
    simulate_neonatal_adc(tmp_path, cases=1, size=(32, 40, 8), spacing_mm=(3.0, 2.9, 10.0), progress=False)
    (item,) = neonatal_adc_datalist(tmp_path)
    grids = [read_volume(path)[1] for path in [*item["image"], item["label"]]]
    assert all(np.array_equal(grid.affine, grids[0].affine) for grid in grids)
    assert np.abs(grids[0].affine[:3, :3] - np.diag(np.diag(grids[0].affine[:3, :3]))).max() > 0.05
    assert voxel_spacing_mm(item["label"]) == pytest.approx((3.0, 2.9, 10.0))


def test_refuses_a_volume_smaller_than_the_brain(tmp_path):
    with pytest.raises(ValueError, match="a case or more and a volume over"):
        simulate_neonatal_adc(tmp_path, cases=1, size=(32, 32, 8), spacing_mm=(2, 2, 10))


@pytest.mark.parametrize(
    ("size", "spacing_mm", "found"), [((40, 40), (3, 3), "three numbers"), ((40, 44, 8), (float("nan"), 3, 12), "nan")]
)
def test_refuses_what_is_no_volume(tmp_path, size, spacing_mm, found):
    with pytest.raises(ValueError, match=found):
        simulate_neonatal_adc(tmp_path / "data", cases=1, size=size, spacing_mm=spacing_mm)
    assert not (tmp_path / "data").exists()
