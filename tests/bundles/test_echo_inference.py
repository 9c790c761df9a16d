"""Inference of echo_coreecho on what hospitals have: a real DICOM cine, and folders with bad files among good ones."""

import json
import shutil

import pytest
from pydicom.data import get_testdata_file

from common.errors import FailedCasesError
from common.files import read_csv
from tests.bundles.harness import overrides, root, workflow

BUNDLE = "echo_coreecho"


def infer(data, trained, tmp_path, **more):
    settings = overrides(BUNDLE, data, tmp_path, model_dir=str(trained(BUNDLE) / "models"), **more)
    flow = workflow(BUNDLE, ["inference.json"], "inferring", "infer", **settings)
    flow.initialize()
    flow.run()
    return tmp_path / "output"


def test_gives_the_ef_of_a_real_cine_with_its_spread_and_weights(trained, tmp_path):
    cine = get_testdata_file("examples_ybr_color.dcm", download=False)
    output = infer(cine, trained, tmp_path, stride_ms=80)
    result = json.loads((output / "examples_ybr_color.json").read_text())
    assert len(result["clips"]) == 3 and result["lowest"] <= result["ef_percent"] <= result["highest"]
    assert result["weights"].endswith("model.pt") and "Research use only" in result["note"]
    assert (output / "examples_ybr_color.png").is_file()
    text = "".join(path.read_text() for path in output.glob("*.[cj]s*"))
    assert "PLA" not in text and "204" not in json.dumps(result["case"]), "nothing of the header's patient"


def test_the_shipped_weights_read_a_real_cine_of_another_size_and_frame_rate_without_being_told(tmp_path):
    cine = get_testdata_file("examples_ybr_color.dcm", download=False)
    settings = {"dataset_dir": str(cine), "output_dir": str(tmp_path / "output")}
    flow = workflow(BUNDLE, ["inference.json"], "inferring", "infer", **settings)
    flow.initialize()
    flow.run()
    result = json.loads((tmp_path / "output" / "examples_ybr_color.json").read_text())
    assert len(result["clips"]) == 3 and result["lowest"] <= result["ef_percent"] <= result["highest"]
    assert result["weights"] == str(root(BUNDLE) / "models" / "model.pt")


def test_writes_every_good_video_and_names_the_bad_ones(trained, phantom, tmp_path):
    folder = tmp_path / "videos"
    folder.mkdir()
    videos = sorted((phantom(BUNDLE) / "Videos").glob("*.avi"))[:2]
    for path in videos:
        shutil.copy(path, folder)
    whole = videos[0].read_bytes()
    (folder / "half.avi").write_bytes(whole[: len(whole) * 2 // 3])
    (folder / "text.avi").write_text("no video")
    with pytest.raises(RuntimeError) as caught:
        infer(folder, trained, tmp_path)
    assert isinstance(caught.value.__cause__, FailedCasesError)
    failed = {row["case"]: row["reason"] for row in read_csv(tmp_path / "output" / "failed.csv")}
    assert set(failed) == {"half", "text"} and "copy it again" in failed["half"]
    assert {row["case"] for row in read_csv(tmp_path / "output" / "predictions.csv")} == {p.stem for p in videos}


def test_says_when_the_clips_disagree(trained, phantom, tmp_path):
    output = infer(phantom(BUNDLE), trained, tmp_path, disagreement=0.0)
    rows = read_csv(output / "predictions.csv")
    assert all(row["clips_disagree"] == str(row["lowest"] != row["highest"]) for row in rows)
    assert "True" in {row["clips_disagree"] for row in rows}
