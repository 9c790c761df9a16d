"""Results say how far their input is from the training data, and a training on other data moves the score."""

import statistics

import av
import nibabel
import numpy as np
import pytest

from common.files import read_csv
from tests.bundles.attacks import infer
from tests.bundles.harness import BUNDLES, overrides, simulate, workflow

FIRST = "cmr_hf_classify"
first_by_default = pytest.mark.parametrize(
    "bundle", [pytest.param(name, marks=() if name == FIRST else pytest.mark.slow) for name in BUNDLES]
)
# How many cases are enough, and settings of one kind of data and of another.
SETTINGS = {"doppler_keypoint": {"spatial_size": [96, 256]}}  # screens of both styles are alike in smaller pictures
KINDS = {
    "cmr_hf_classify": (20, {"field_of_view_mm": 300.0}, {"field_of_view_mm": 150.0}),
    "doppler_keypoint": (100, {"style": "plain"}, {"style": "cart"}),
    "echo_coreecho": (60, {"variation": 0.0}, {"variation": 1.0}),
    "elasto_flow": (40, {"noise_db": (35.0, 40.0)}, {"noise_db": (0.0, 5.0)}),
    "hie_ladp_seg": (30, {"spacing_mm": [3.2, 3.2, 20.0]}, {"spacing_mm": [6.0, 6.0, 20.0]}),
}


@pytest.fixture
def run(tmp_path):
    def run(bundle, configs, run_id, data):
        folder = tmp_path / "out" / data.name / run_id
        settings = overrides(bundle, data, tmp_path, **SETTINGS.get(bundle, {})) | {"output_dir": str(folder)}
        kind = "infer" if configs == ["inference.json"] else "train"
        flow = workflow(bundle, configs, run_id, kind, **settings)
        flow.initialize()
        flow.run()
        flow.finalize()
        return folder

    return run


@first_by_default
def test_the_score_rises_on_other_data_and_falls_again_once_it_is_fitted_to_them(bundle, run, tmp_path):
    cases, one, other = KINDS[bundle]
    known = simulate(bundle, tmp_path / "known", cases=cases, seed=1, **one)
    like = simulate(bundle, tmp_path / "like", cases=8, seed=2, **one)
    others = simulate(bundle, tmp_path / "others", cases=cases, seed=3, **other)
    unlike = simulate(bundle, tmp_path / "unlike", cases=8, seed=4, **other)

    def score(data):
        rows = read_csv(run(bundle, ["inference.json"], "inferring", data) / "predictions.csv")
        assert {row["unlike_training"] for row in rows} <= {"True", "False"}
        return statistics.median(float(row["familiarity"]) for row in rows)

    run(bundle, ["train.json"], "training", known)
    assert score(like) < 95 < score(unlike)
    run(bundle, ["train.json", "evaluate.json"], "describing", others)
    assert score(unlike) < 95


@pytest.mark.slow
def test_most_moving_echoes_written_as_a_cine_mr_are_unlike_hearts_to_the_shipped_weights(tmp_path):
    echo = simulate("echo_coreecho", tmp_path / "echo", cases=12, seed=712, size=112, frames=[30, 70], style="clinical")
    for video in (echo / "Videos").glob("*.avi"):
        with av.open(str(video)) as opened:
            frames = np.stack([frame.to_ndarray(format="gray") for frame in opened.decode(video=0)])
        patient = tmp_path / "cine" / video.stem
        patient.mkdir(parents=True)
        image = nibabel.Nifti1Image(frames.T[:, :, None].astype(np.int16), np.diag([1.4, 1.4, 8.0, 1.0]))
        image.header.set_zooms((1.4, 1.4, 8.0, 0.04))
        nibabel.save(image, patient / f"{video.stem}.nii.gz")
    rows, failed = infer(FIRST, tmp_path / "cine", tmp_path / "out")
    assert len(rows) == 12 and not failed
    assert sum(row["unlike_training"] == "True" for row in rows.values()) >= 8
