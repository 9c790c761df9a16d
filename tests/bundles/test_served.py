"""Bundles that stay loaded: the answers of a server are those of `inferring`."""

import json
import os
import re
import shutil
import signal
import zipfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from common.bundle import run_bundle
from common.commands.pack import pack
from common.errors import UnusableFileError
from common.files import read_sealed_json
from common.label.served import ServedBundle
from common.label.training import Score, train, training_settings, validation_score
from common.label.worker import RefusedError, Worker
from common.training.weights import sha256_of
from tests.bundles.harness import BUNDLES, workflow
from tests.bundles.studies import studies, with_weights

LEARNS = "hie_ladp_seg"


@pytest.fixture(scope="module")
def served(trained, tmp_path_factory):
    """Folder of a bundle with the smallest weights."""
    folders = {}

    def root(bundle):
        if bundle not in folders:
            folders[bundle] = with_weights(bundle, trained(bundle) / "models", tmp_path_factory.mktemp("served"))
        return folders[bundle]

    return root


def inferring(root, image, output):
    flow = workflow(root.name, ["inference.json"], "inferring", "infer", dataset_dir=str(image), output_dir=str(output))
    flow.parser["model_dir"] = str(root / "models")
    flow.initialize()
    flow.run()
    return output


@pytest.mark.parametrize("bundle", BUNDLES)
def test_the_answer_is_what_inferring_writes(bundle, served, phantom, tmp_path):
    [image] = studies(bundle, phantom(bundle), tmp_path / "studies")
    (tmp_path / "answer").mkdir()
    answer = ServedBundle(served(bundle)).infer(image, tmp_path / "answer")
    output = inferring(served(bundle), image, tmp_path / "output")
    [details] = output.glob("*.json")
    assert answer.content == json.loads(details.read_text())
    if answer.image is not None:
        wanted = sitk.ReadImage(str(output / answer.image.name))
        found = sitk.ReadImage(str(answer.image))
        np.testing.assert_array_equal(sitk.GetArrayFromImage(found), sitk.GetArrayFromImage(wanted))
    assert (answer.image is not None) == (bundle in ("hie_ladp_seg", "elasto_flow"))


def test_a_mask_lies_on_the_grid_of_its_image(served, phantom, tmp_path):
    [image] = studies(LEARNS, phantom(LEARNS), tmp_path / "studies")
    (tmp_path / "answer").mkdir()
    mask = sitk.ReadImage(str(ServedBundle(served(LEARNS)).infer(image, tmp_path / "answer").image))
    source = sitk.ReadImage(str(phantom(LEARNS) / "1ADC_ss" / image.name.replace(".nii.gz", "-ADC_ss.mha")))
    for ask in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
        np.testing.assert_allclose(getattr(mask, ask)(), getattr(source, ask)(), rtol=0, atol=1e-5)


def test_a_z_map_in_a_folder_beside_is_the_second_channel(served, phantom, tmp_path):
    [both] = studies(LEARNS, phantom(LEARNS), tmp_path / "both")
    apart = tmp_path / "apart"
    (apart / "zmaps").mkdir(parents=True)
    channels = sitk.ReadImage(str(both))
    for place, channel in ((apart, 0), (apart / "zmaps", 1)):
        size = [*channels.GetSize()[:3], 0]
        sitk.WriteImage(sitk.Extract(channels, size, [0, 0, 0, channel]), str(place / both.name))
    bundle = ServedBundle(served(LEARNS))
    answers = []
    for image in (both, apart / both.name):
        (tmp_path / image.parent.name / "answer").mkdir()
        answers.append(bundle.infer(image, tmp_path / image.parent.name / "answer"))
    assert answers[0].content == answers[1].content


def test_a_bad_file_is_refused_with_its_reason_and_the_next_one_is_answered(served, phantom, tmp_path):
    bundle = ServedBundle(served("echo_coreecho"))
    bad = tmp_path / "bad.avi"
    bad.write_bytes(b"no video")
    with pytest.raises(UnusableFileError, match=r"bad\.avi"):
        bundle.infer(bad, tmp_path / "first")
    [image] = studies("echo_coreecho", phantom("echo_coreecho"), tmp_path / "studies")
    assert bundle.infer(image, tmp_path / "second").content["case"] == image.stem


def test_a_file_of_another_kind_is_refused_with_what_was_expected(served, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("text")
    with pytest.raises(ValueError, match=r"other\.txt"):
        ServedBundle(served("cmr_hf_classify")).infer(other, tmp_path / "answer")


def test_the_name_of_a_file_is_never_code(served, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = "$__import__('pathlib').Path('harm').touch()"
    with pytest.raises(ValueError, match="expected cine MR"):
        ServedBundle(served("cmr_hf_classify")).infer(name, tmp_path / "answer")
    assert not (tmp_path / "harm").exists()


def test_one_pair_of_a_sequence_is_chosen_by_its_number(served, tmp_path):
    frames = np.random.default_rng(0).normal(size=(3, 192, 32)).astype(np.float32)
    np.savez(tmp_path / "sequence.npz", rf=frames)
    bundle = ServedBundle(served("elasto_flow"))
    known = {"sampling_mhz": 40.0, "sound_speed_m_s": 1540.0, "pitch_mm": 0.3}
    answers = [bundle.infer(tmp_path / "sequence.npz", tmp_path / str(n), n, known).content for n in (0, 1)]
    assert [(a["number"], a["cases"]) for a in answers] == [(0, 2), (1, 2)]
    assert answers[0]["case"] != answers[1]["case"]
    with pytest.raises(UnusableFileError, match="from 0 to 1, found 2"):
        bundle.infer(tmp_path / "sequence.npz", tmp_path / "none", 2)


def test_a_setting_holds_for_one_case_and_is_a_number(served, phantom, tmp_path):
    [image] = studies("cmr_hf_classify", phantom("cmr_hf_classify"), tmp_path / "studies")
    bundle = ServedBundle(served("cmr_hf_classify"))
    chosen = [{"threshold": 0.01, "unknown": "$1"}, {}]
    answers = [bundle.infer(image, tmp_path / str(n), settings=values).content for n, values in enumerate(chosen)]
    assert (answers[0]["threshold"], answers[0]["call"]) == (0.01, "HFrEF")
    assert answers[1]["threshold"] == bundle.settings()["threshold"] == 0.5
    with pytest.raises(ValueError, match="threshold: expected a number"):
        bundle.infer(image, tmp_path / "code", settings={"threshold": "$__import__('os').getpid()"})


def test_other_weights_are_used_as_soon_as_they_lie_there(served, phantom, tmp_path):
    [image] = studies(LEARNS, phantom(LEARNS), tmp_path / "studies")
    bundle = ServedBundle(served(LEARNS), tmp_path / "own")
    assert bundle.infer(image, tmp_path / "before").content["lesion_ml"] > 0
    own = bundle.versions.new()
    shutil.copytree(served(LEARNS) / "models", own, dirs_exist_ok=True)
    bundle.versions.use(own.name)
    state = torch.load(own / "model.pt", weights_only=True)
    torch.save({**state, "final.bias": torch.full_like(state["final.bias"], -20.0)}, own / "model.pt")
    for file, tie in (("model.json", "sha256"), ("threshold.json", "model_sha256")):
        description = read_sealed_json(own / file, "a description", "")
        (own / file).write_text(json.dumps({**description, tie: sha256_of(own / "model.pt")}))
    after = bundle.infer(image, tmp_path / "after").content
    assert after["lesion_ml"] == 0
    assert after["weights"] == str(own / "model.pt")


def test_a_bundle_without_weights_says_so(served, tmp_path):
    shutil.copytree(served(LEARNS), tmp_path / LEARNS, ignore=shutil.ignore_patterns("*.pt"))
    with pytest.raises(FileNotFoundError, match=r"model\.pt: expected trained weights"):
        ServedBundle(tmp_path / LEARNS).load()


def test_a_bundle_that_does_not_say_what_it_answers_is_refused(served, tmp_path):
    root = tmp_path / LEARNS
    shutil.copytree(served(LEARNS), root)
    metadata = json.loads((root / "configs" / "metadata.json").read_text())
    (root / "configs" / "metadata.json").write_text(json.dumps({**metadata, "supported_apps": {}}))
    with pytest.raises(UnusableFileError, match="expected supported_apps with monai-label"):
        ServedBundle(root)


def test_an_unpacked_zip_answers_as_the_checkout_does(served, phantom, tmp_path):
    bundle = "cmr_hf_classify"
    pack([bundle], tmp_path / "zips", folder=served(bundle).parent)
    with zipfile.ZipFile(tmp_path / "zips" / f"{bundle}.zip") as archive:
        archive.extractall(tmp_path / "unpacked")
    [image] = studies(bundle, phantom(bundle), tmp_path / "studies")
    answers = [
        ServedBundle(root).infer(image, tmp_path / name).content
        for name, root in (("a", served(bundle)), ("b", tmp_path / "unpacked" / bundle))
    ]
    assert answers[0].pop("weights") != answers[1].pop("weights")
    assert answers[0] == answers[1]


def test_training_from_labels_starts_from_the_weights_in_use_and_leaves_them(served, phantom, tmp_path):
    studies(LEARNS, phantom(LEARNS), tmp_path / "studies", cases=5)
    bundle = ServedBundle(served(LEARNS), tmp_path / "own")
    shipped = (served(LEARNS) / "models" / "model.pt").read_bytes()
    result = train(bundle, tmp_path / "studies", {"max_epochs": 1, "val_split": 0.4})
    [version] = bundle.versions.names()
    assert result["weights_before"] == str(served(LEARNS) / "models" / "model.pt")
    assert (served(LEARNS) / "models" / "model.pt").read_bytes() == shipped
    assert result["used"] == (result["after"] > result["before"])
    assert (bundle.weights == tmp_path / "own" / version / "model.pt") == result["used"]
    old, new = (json.loads((folder / "model.json").read_text())["settings"] for folder in (
        served(LEARNS) / "models", tmp_path / "own" / version,
    ))  # fmt: skip
    assert old == new, "the same network, on slices of the same size"


@pytest.mark.parametrize(("after", "used"), [(0.6, True), (0.4, False), (float("nan"), False)])
def test_only_better_weights_replace_those_in_use(served, tmp_path, monkeypatch, after, used):
    bundle = ServedBundle(served(LEARNS), tmp_path / "own")
    scored = []

    def run(root, run_id, configs, settings):
        shutil.copy(bundle.root / "models" / "model.pt", settings["model_dir"])

    def score(of, settings, weights):
        scored.append((weights, settings["dataset_dir"], settings["folds"]))
        return Score("volume_dice", 0.5 if weights == bundle.root / "models" / "model.pt" else after, 1)

    monkeypatch.setattr("common.label.training.run_bundle", run)
    monkeypatch.setattr("common.label.training.validation_score", score)
    result = train(bundle, tmp_path, {})
    assert result["used"] is used
    assert (bundle.weights.parent.name == result["version"]) is used
    assert len({asked[1:] for asked in scored}) == 1 and len({asked[0] for asked in scored}) == 2
    assert (tmp_path / "own" / result["version"] / "model.pt").is_file(), "kept in either case"


def test_the_score_of_weights_is_that_of_the_training_that_made_them(served, phantom, tmp_path):
    studies(LEARNS, phantom(LEARNS), tmp_path / "studies", cases=5)
    bundle = ServedBundle(served(LEARNS), tmp_path / "own")
    folder = bundle.versions.new()
    settings = training_settings(bundle, tmp_path / "studies", {"max_epochs": 1, "val_split": 0.4}, folder)
    run_bundle(bundle.root, "training", ["train.json"], settings)
    recorded = json.loads((folder / "model.json").read_text())["volume_dice"]
    score = validation_score(bundle, settings, folder / "model.pt")
    assert score.value == pytest.approx(recorded, abs=1e-6)


@pytest.mark.parametrize(
    "wrong",
    [{"num_workers": 4}, {"batch_size": 1}, {"clips": 100000}, {"clips": 2.5}, {"clips": True}, {"clips": "3"},
     {"disagreement": float("nan")}, {"number": -1}, {"number": 0.5}, {"number": True}, {"other": 1},
     {"dataset_dir": "/etc"}, {"image": "/etc/passwd"}, {"$x": 1}, {"network_def": {}}],
    ids=str,
)  # fmt: skip
def test_a_client_may_change_known_settings_within_their_range(served, wrong):
    bundle = ServedBundle(served("echo_coreecho"))
    with pytest.raises(ValueError, match=re.escape(next(iter(wrong)))):
        bundle.check_settings(wrong)
    bundle.check_settings({"clips": 5, "disagreement": 3, "number": 2, "client_id": "x"})


def test_yes_and_no_are_no_numbers(served):
    bundle = ServedBundle(served(LEARNS))
    bundle.check_settings({"tta": False, "threshold": 0.4})
    for wrong in ({"tta": 1}, {"tta": "yes"}):
        with pytest.raises(ValueError, match="tta: expected yes or no"):
            bundle.check_settings(wrong)


def test_the_worker_answers_after_it_was_killed_and_gives_up_what_takes_too_long(served, phantom, tmp_path):
    [image] = studies(LEARNS, phantom(LEARNS), tmp_path / "studies")
    for name in ("answer", "again", "never", "last"):
        (tmp_path / name).mkdir()
    worker = Worker({LEARNS: (served(LEARNS), tmp_path / "own")}, seconds=120, memory_gib=16)
    try:
        assert worker.start() == {}
        answer = worker.infer(LEARNS, image, tmp_path / "answer", 0, {})
        assert answer.content == ServedBundle(served(LEARNS)).infer(image, tmp_path / "last").content
        os.kill(worker.process.pid, signal.SIGKILL)
        worker.process.join()
        assert worker.infer(LEARNS, image, tmp_path / "again", 0, {}).content == answer.content
        first, worker.seconds = worker.process.pid, 1e-4
        with pytest.raises(RefusedError, match="no answer within") as refused:
            worker.infer(LEARNS, image, tmp_path / "never", 0, {})
        assert refused.value.status == 422 and worker.process is None
        assert not Path(f"/proc/{first}").exists()
    finally:
        worker.stop()


def test_the_worker_names_a_bundle_that_cannot_be_loaded(served, tmp_path):
    shutil.copytree(served(LEARNS), tmp_path / LEARNS)
    (tmp_path / LEARNS / "models" / "model.pt").write_bytes(b"no weights")
    worker = Worker({LEARNS: (tmp_path / LEARNS, tmp_path / "own")}, seconds=60, memory_gib=16)
    try:
        assert "model.pt" in worker.start()[LEARNS]
    finally:
        worker.stop()
