import hashlib
import json

from pydicom.dataset import Dataset

from common.evaluation.dicom_origin import read_origin


def bundle(folder):
    (folder / "configs").mkdir(parents=True)
    metadata = {"name": "a model", "version": "1.2", "references": ["A paper", "another"]}
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata))
    (folder / "models").mkdir()
    for name in ("model.pt", "threshold.json", "pretrained.json", "model.previous.json"):
        (folder / "models" / name).write_text(name)
    return folder


def header(uid="1.2.3"):
    made = Dataset()
    made.SOPInstanceUID = uid
    return made


def uid(root, resolved=None, headers=(), uid_root="2.25"):
    return read_origin(root, [root / "models" / "model.pt"], resolved or {"clips": 3}, uid_root).uid(
        headers or [header()], "report"
    )


def test_uids_change_with_whatever_has_a_part_in_the_results_and_with_nothing_else(tmp_path):
    root = bundle(tmp_path / "b")
    usual = uid(root)
    (root / "models" / "pretrained.json").write_text("changed")
    (root / "models" / "model.previous.json").write_text("changed")
    assert uid(root, {"clips": 3, "output_dir": "x", "num_workers": 2, "network_def#depth": 4}) == usual
    both = (header("1.2.3"), header("1.2.4"))
    assert uid(root, headers=both) == uid(root, headers=both[::-1]) != usual
    found = {usual, uid(root, {"clips": 4}), uid(root, headers=(header("1.2.5"),)), uid(root, uid_root="1.2")}
    for name in ("threshold.json", "model.pt"):
        (root / "models" / name).write_text("changed")
        found.add(uid(root))
    assert len(found) == 6


def test_an_origin_says_model_version_method_weights_and_settings(tmp_path):
    root = bundle(tmp_path / "b")
    origin = read_origin(root, [root / "models"] * 2, {"clips": 3, "network": object(), "sizes": [1, 2]}, "2.25")
    assert (origin.bundle, origin.name, origin.version) == ("b", "a model", "1.2")
    assert origin.parameters()[0] == "method: A paper" and origin.settings == '{"clips": 3, "sizes": [1, 2]}'
    sha256 = hashlib.sha256(b"model.pt").hexdigest()
    assert origin.weights_sha256 == f"{sha256}, {sha256}" and len(origin.serial_number) == 64
