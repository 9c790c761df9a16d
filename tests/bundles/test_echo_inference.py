"""Inference of echo_coreecho on what hospitals have: a real DICOM cine, and folders with bad files among good ones."""

import json
import shutil

import nibabel
import numpy as np
import pytest
from pydicom.data import get_testdata_file

from common.echo.phantom import random_case
from common.echo.phantoms.heart import render
from common.echo.phantoms.writers import write_video
from common.errors import FailedCasesError
from common.files import read_csv
from tests.bundles.harness import overrides, root, workflow
from tests.common.echo.test_reader import write_dicom
from tests.common.echo.test_video import with_matrix, write_encoded

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


def shipped(data, tmp_path, **more):
    settings = {"dataset_dir": str(data), "output_dir": str(tmp_path / "output"), **more}
    flow = workflow(BUNDLE, ["inference.json"], "inferring", "infer", **settings)
    flow.initialize()
    flow.run()
    return {row["case"]: row for row in read_csv(tmp_path / "output" / "predictions.csv")}


@pytest.fixture
def heart():
    """100 frames of 240 x 240 at 50 a second, with its EF in percent."""
    generator = np.random.default_rng((32, 1))
    case, probe = random_case(generator, 240)
    return render(case, probe, np.arange(100) / 50, generator), case.ef_percent


def on_screen(frames, name_level=255):
    """The heart on a scanner's screen, with a name and scale marks beside it."""
    screen = np.zeros((len(frames), 320, 400), np.uint8)
    screen[:, 40:280, 80:320] = frames
    screen[:, 6:16, 6:120] = name_level * (np.arange(114) // 3 % 2)
    screen[:, 40:280:20, 380:386] = 200
    return screen


def test_one_heart_gives_one_ef_whatever_the_file(heart, tmp_path):
    frames, ef_percent = heart
    screen, folder = on_screen(frames), tmp_path / "videos"
    folder.mkdir()
    write_video(folder / "avi.avi", screen, 50)
    write_encoded(folder / "mp4.mp4", screen, "libx264", stamps=20 * np.arange(100))
    write_encoded(folder / "turned.mp4", np.rot90(screen, 1, (1, 2)), "libx264", stamps=20 * np.arange(100))
    with_matrix(folder / "turned.mp4", 0, 1, -1, 0, 320, 0)
    write_dicom(folder / "dicom.dcm", screen, interval_ms=20)
    values = np.ascontiguousarray(screen.T[:, :, None])
    for name, levels in (("bytes", values), ("unit", values / 255.0), ("twelve", values.astype(np.int16) * 16)):
        image = nibabel.Nifti1Image(levels, np.eye(4))
        image.header.set_zooms((1, 1, 1, 20))
        image.header.set_xyzt_units("mm", "msec")
        nibabel.save(image, folder / f"{name}.nii.gz")
    # Every second frame from the middle on: 40 ms apart in a vector that says so.
    kept = [*range(50), *range(50, 100, 2)]
    vector = [0, *[20] * 50, *[40] * 24]
    write_dicom(folder / "uneven.dcm", screen[kept], interval_ms=None, FrameTimeVector=[str(v) for v in vector])
    rows = shipped(folder, tmp_path)
    assert len(rows) == 8 and not any("recording" in row["doubts"] for row in rows.values())
    found = {name: float(row["ef_percent"]) for name, row in rows.items()}
    assert found == dict.fromkeys(found, pytest.approx(found["dicom"], abs=3))
    assert found["dicom"] == pytest.approx(ef_percent, abs=10)
    said = json.loads((tmp_path / "output" / "uneven.json").read_text())["input"]
    assert said["frame_rate_from"] == "FrameTimeVector" and "repeats" in said["done"][0]


def test_no_picture_shows_what_lies_beside_the_sector(heart, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr("common.echo.results.draw_clip", lambda path, clip, title: shown.append(clip))
    folder = tmp_path / "videos"
    folder.mkdir()
    write_video(folder / "named.avi", on_screen(heart[0]), 50)
    write_video(folder / "unnamed.avi", on_screen(heart[0], 0), 50)
    shipped(folder, tmp_path, batch_size=1)
    assert (shown[0] - shown[1]).abs().max() < 0.5, "in standard deviations of grey levels"


def test_refuses_what_is_no_beating_heart_and_names_it(heart, tmp_path):
    frames, folder = heart[0], tmp_path / "videos"
    folder.mkdir()
    write_video(folder / "black.avi", np.zeros_like(frames), 50)
    write_video(folder / "still.avi", np.repeat(frames[:1], 60, axis=0), 50)
    write_video(folder / "one.avi", frames[:1], 50)
    write_video(folder / "two.avi", frames[:2], 50)
    write_dicom(folder / "seconds.dcm", frames, interval_ms=0.02)
    write_dicom(folder / "timeless.dcm", frames, interval_ms=None)
    write_video(folder / "good.avi", frames, 50)
    write_video(folder / "short.avi", frames[:15], 50)
    with pytest.raises(RuntimeError):
        shipped(folder, tmp_path)
    failed = {row["case"]: row["reason"] for row in read_csv(tmp_path / "output" / "failed.csv")}
    assert set(failed) == {"black", "still", "one", "two", "seconds", "timeless"}
    assert all(f"{name}." in reason for name, reason in failed.items()), "each reason names its file"
    assert "give --stride_ms 0" in failed["seconds"] and "give --stride_ms 0" in failed["timeless"]
    rows = {row["case"]: row for row in read_csv(tmp_path / "output" / "predictions.csv")}
    assert "heart beat" not in rows["good"]["doubts"] and "less than a heart beat" in rows["short"]["doubts"]


@pytest.mark.parametrize("word", [0, "none", "null"])
def test_counts_frames_where_no_stride_in_milliseconds_is_wanted(heart, tmp_path, word):
    write_dicom(tmp_path / "timeless.dcm", heart[0], interval_ms=None)
    assert "timeless" in shipped(tmp_path / "timeless.dcm", tmp_path, stride_ms=word)


def test_says_when_the_clips_disagree(trained, phantom, tmp_path):
    output = infer(phantom(BUNDLE), trained, tmp_path, disagreement=0.0)
    rows = read_csv(output / "predictions.csv")
    assert all(row["clips_disagree"] == str(row["lowest"] != row["highest"]) for row in rows)
    assert "True" in {row["clips_disagree"] for row in rows}
