"""Cines made of two real phases (here: of drawn ones): exact EF, sizes, folds by source."""

import numpy as np
import pytest

from common.cine import cine_datalist, phase_pairs, read_cine, simulate_cine_mr
from common.cine.phantoms.chest import CineSettings
from common.cine.phantoms.from_pairs import PairHeart, simulate_from_pair
from common.cine.phantoms.heart import LEFT_VENTRICLE
from tests.common.cine.pair_files import write_heart

SMALL = {"size": 48, "field_of_view_mm": 180.0}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("source")
    for number, ef in enumerate((20, 35, 55, 60, 65, 70)):
        write_heart(folder, f"p{number}", ef)
    return folder


@pytest.fixture(scope="module")
def made(source, tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    return folder, simulate_cine_mr(folder, cases=6, seed=5, source=source, **SMALL)


@pytest.fixture(scope="module")
def hearts(source):
    pairs = sorted(phase_pairs(source), key=lambda pair: pair.ef)
    return PairHeart.of(pairs[0]), PairHeart.of(pairs[-1])


def test_the_ef_read_back_is_the_one_that_was_set(made):
    folder, truth = made
    measured = {item["case"]: item["ef"] for item in cine_datalist(folder, "all")}
    assert len(measured) == 6
    for row in truth:
        assert measured[row["case"]] == pytest.approx(row["ef"], abs=1.0)
        assert row["label"] == (row["ef"] < 50)


def test_beats_have_15_to_40_frames_and_the_slices_of_the_source(made):
    folder, _ = made
    for image in folder.glob("database/training/*/*_4d.nii.gz"):
        cine = read_cine(image)
        assert 15 <= len(cine.slices[0].frames) <= 40
        assert len(cine.slices) == 2


@pytest.mark.parametrize("ef", [12.0, 35.0, 55.0, 74.0])
def test_every_ef_can_be_made_of_a_heart_that_beats_well(hearts, ef):
    cine = simulate_from_pair(np.random.default_rng(1), hearts[1], ef, CineSettings(96, 4, 2, 200.0))
    before, after = (np.count_nonzero(mask == LEFT_VENTRICLE) for mask in (cine.diastole, cine.systole))
    assert 100 * (before - after) / before == pytest.approx(ef, abs=1.0)
    assert cine.frames.shape[1:] == (4, 96, 96)


def test_a_heart_that_hardly_beats_cannot_be_made_to_beat_well(hearts):
    with pytest.raises(ValueError, match=r"expected an EF that its motion reaches, found 74.0 %"):
        simulate_from_pair(np.random.default_rng(1), hearts[0], 74.0, CineSettings(64, 6, 2, 200.0))


def test_failing_hearts_are_larger(hearts):
    def area(ef, seed):
        cine = simulate_from_pair(np.random.default_rng(seed), hearts[1], ef, CineSettings(64, 4, 2, 200.0))
        return np.count_nonzero(cine.diastole, axis=(1, 2)).max()

    failing, well = (np.mean([area(ef, seed) for seed in range(6)]) for ef in (20.0, 65.0))
    # 59 mm against 45 mm wide.
    assert failing / well == pytest.approx((59 / 45) ** 2, rel=0.25)


def test_the_same_seed_writes_the_same_files(source, made, tmp_path):
    again = simulate_cine_mr(tmp_path, cases=6, seed=5, limit=1, source=source, **SMALL)
    assert again == made[1][:1]
    (first,) = tmp_path.glob("database/training/*/*_4d.nii.gz")
    np.testing.assert_array_equal(
        read_cine(first).slices[0].frames, read_cine(made[0] / first.relative_to(tmp_path)).slices[0].frames
    )


@pytest.mark.parametrize("layout", ["acdc", "dicom"])
def test_patients_of_one_source_are_in_one_part(source, tmp_path, layout):
    truth = simulate_cine_mr(tmp_path, cases=10, seed=7, layout=layout, source=source, **SMALL)
    made_of = {row["case"]: row["source"] for row in truth}
    parts = [
        {made_of[item["case"]] for item in cine_datalist(tmp_path, part, folds=3, slices="all", labelled=False)}
        for part in ("training", "validation", "test")
    ]
    assert set.union(*parts) == set(made_of.values())
    assert sum(map(len, parts)) == len(set(made_of.values())), "no source in two parts"


def test_the_parts_of_a_source_can_be_asked_for(source, tmp_path):
    used = {
        part: {
            row["source"]
            for row in simulate_cine_mr(tmp_path / part, cases=4, source=source, source_split=part, limit=2, **SMALL)
        }
        for part in ("training", "test")
    }
    assert used["training"] <= {pair.case for pair in phase_pairs(source, "training")}
    assert used["test"] <= {pair.case for pair in phase_pairs(source, "test")}
