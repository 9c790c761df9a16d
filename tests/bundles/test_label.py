"""Real MONAI Label servers on 127.0.0.1, without the internet: our app over all five, the stock app over a zip."""

import json
import os
import shutil
import signal
import subprocess
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import SimpleITK as sitk

from common.commands.pack import pack
from common.label.served import ServedBundle
from tests.bundles.harness import BUNDLES
from tests.bundles.label_server import TOKEN, Server, environment, form
from tests.bundles.studies import studies, with_weights

pytestmark = [pytest.mark.label, pytest.mark.timeout(1800)]

LEARNS, ZIPPED, BROKEN = "hie_ladp_seg", "cmr_hf_classify", "broken_bundle"
IMAGES = {"hie_ladp_seg": (36, 32), "elasto_flow": (192, 32)}
ANSWERS = {
    "cmr_hf_classify": {"prediction", "probabilities", "call"},
    "doppler_keypoint": {"beats", "e_mean_cm_s", "a_mean_cm_s", "unit"},
    "echo_coreecho": {"ef_percent", "spread", "clips"},
    "elasto_flow": {"mean_strain_percent", "median_correlation"},
    "hie_ladp_seg": {"label_names", "lesion_ml", "threshold"},
}
CLIENT = """
import json, sys
from monailabel.client import MONAILabelClient
url, image, folder, model, token = sys.argv[1:]
client = MONAILabelClient(url, tmpdir=folder)
assert client.auth_enabled() and not client.auth_valid_token()
client.update_auth(client.auth_token("any name", token))
assert client.auth_valid_token()
case = client.upload_image(image, "from_slicer")["image"]
mask, values = client.infer(model, case, {})
client.save_label(case, mask)
print(json.dumps({"case": case, "mask": mask, "values": values, "models": list(client.info()["models"])}))
"""


@pytest.fixture(scope="module")
def bundles(trained, tmp_path_factory):
    """All five with weights, one of them from its zip, and one whose weights are cut short."""
    folder = tmp_path_factory.mktemp("bundles")
    for bundle in BUNDLES:
        with_weights(bundle, trained(bundle) / "models", folder)
    shutil.copytree(folder / LEARNS, folder / BROKEN)
    weights = folder / BROKEN / "models" / "model.pt"
    weights.write_bytes(weights.read_bytes()[:1000])
    unzip(pack([ZIPPED], tmp_path_factory.mktemp("zips"), folder=folder)[0], tmp_path_factory.mktemp("zip"), folder)
    return folder


def unzip(path, between, target):
    """Put the zip's bundle in the place of the folder of that name."""
    with zipfile.ZipFile(path) as archive:
        archive.extractall(between)
    shutil.rmtree(target / path.stem, ignore_errors=True)
    shutil.move(between / path.stem, target / path.stem)


@pytest.fixture(scope="module")
def images(phantom, tmp_path_factory):
    """Studies with a case for each bundle (five of the one that learns), and a file that is no image."""
    folder = tmp_path_factory.mktemp("studies")
    found = {bundle: studies(bundle, phantom(bundle), folder, 5 if bundle == LEARNS else 1)[0] for bundle in BUNDLES}
    (folder / "nothing.nii.gz").write_bytes(b"no image")
    return found


@pytest.fixture(scope="module")
def server(serve, bundles, images):
    return serve(images[LEARNS].parent, bundles, "--writable")


def image_id(path):
    return path.name.removesuffix(".gz").rsplit(".", 1)[0]


def read_image(reply, folder):
    assert reply.status == 200, reply.body
    path = folder / "reply.nii.gz"
    path.write_bytes(reply.body)
    return sitk.ReadImage(str(path))


def assert_same_image(found, wanted):
    np.testing.assert_array_equal(sitk.GetArrayFromImage(found), sitk.GetArrayFromImage(wanted))
    for ask in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
        np.testing.assert_allclose(getattr(found, ask)(), getattr(wanted, ask)(), rtol=0, atol=1e-5)


def test_all_five_are_served_and_the_broken_one_is_named(server):
    info = server.ask("GET", "/info/").json()
    assert sorted(info["models"]) == BUNDLES
    assert list(info["trainers"]) == [LEARNS]
    assert BROKEN in info["description"] and "model.pt" in info["description"]
    assert info["models"][LEARNS]["labels"] == {"lesion": 1}


@pytest.mark.parametrize("bundle", BUNDLES)
def test_the_answer_over_http_is_that_of_inferring(bundle, server, bundles, images, tmp_path):
    reply = server.infer(bundle, image_id(images[bundle]))
    assert reply.status == 200, reply.body
    wanted = ServedBundle(bundles / bundle).infer(images[bundle], tmp_path)
    content = reply.json()
    assert ANSWERS[bundle] <= set(content)
    assert_close({name: content[name] for name in wanted.content}, wanted.content)
    if wanted.image is not None:
        found = read_image(server.infer(bundle, image_id(images[bundle]), "image"), tmp_path)
        expected = sitk.ReadImage(str(wanted.image))
        np.testing.assert_allclose(
            sitk.GetArrayFromImage(found), sitk.GetArrayFromImage(expected), rtol=1e-4, atol=1e-5
        )


def assert_close(found, wanted):
    """Two environments have two builds of the libraries: numbers may differ in the last digits, nothing else may."""
    if isinstance(wanted, dict):
        assert found.keys() == wanted.keys()
        for name, value in wanted.items():
            assert_close(found[name], value)
    elif isinstance(wanted, list):
        assert len(found) == len(wanted)
        for first, second in zip(found, wanted, strict=True):
            assert_close(first, second)
    elif isinstance(wanted, float):
        assert found == pytest.approx(wanted, rel=1e-3, abs=1e-3)
    else:
        assert found == wanted


def test_the_mask_lies_on_the_grid_of_the_image(server, images, phantom, tmp_path):
    mask = read_image(server.infer(LEARNS, image_id(images[LEARNS]), "image"), tmp_path)
    source = sitk.ReadImage(str(phantom(LEARNS) / "1ADC_ss" / f"{image_id(images[LEARNS])}-ADC_ss.mha"))
    for ask in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
        np.testing.assert_allclose(getattr(mask, ask)(), getattr(source, ask)(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("bundle", BUNDLES)
def test_a_bad_file_is_an_error_with_its_reason_and_the_server_lives(bundle, server, images):
    reply = server.infer(bundle, "nothing")
    assert reply.status == 422
    assert "nothing.nii.gz" in reply.json()["detail"]
    assert server.infer(bundle, image_id(images[bundle])).status == 200


def test_a_name_that_is_no_image_is_not_found(server):
    assert server.infer(LEARNS, "no_such_image").status == 404


def test_a_setting_that_is_code_is_refused(server, images):
    reply = server.infer(LEARNS, image_id(images[LEARNS]), threshold="$__import__('os').getpid()")
    assert reply.status == 422 and "threshold" in reply.json()["detail"]


def test_an_uploaded_file_is_answered_and_not_kept(server, images):
    listed = server.ask("GET", "/datastore/").json()["total"]
    upload = form(params="{}", file=images["echo_coreecho"])
    reply = server.ask("POST", "/infer/echo_coreecho?output=json", *upload)
    assert "ef_percent" in reply.json()
    assert server.ask("GET", "/datastore/").json()["total"] == listed


def test_fifty_requests_of_four_clients_succeed_and_memory_stays(server, images):
    asked = [(bundle, image_id(images[bundle])) for bundle in BUNDLES]
    first = {bundle: content_of(server.infer(bundle, case)) for bundle, case in asked * 2}
    before = server.memory_mib()
    with ThreadPoolExecutor(4) as clients:
        replies = list(clients.map(lambda pair: (pair[0], server.infer(*pair)), asked * 10))
    assert [reply.status for _, reply in replies] == [200] * 50
    assert all(content_of(reply) == first[bundle] for bundle, reply in replies)
    assert server.memory_mib() - before < 50, f"1 MiB a request: {before:.0f} to {server.memory_mib():.0f} MiB"


def content_of(reply):
    content = reply.json()
    del content["latencies"]
    return content


def test_what_3d_slicer_calls_leaves_a_label_that_a_restart_keeps(server, python, phantom, tmp_path):
    (tmp_path / "new").mkdir()
    [image] = studies(LEARNS, phantom(LEARNS), tmp_path / "new")
    image = image.rename(tmp_path / "from_slicer.nii.gz")
    words = [python, "-c", CLIENT, server.url, str(image), str(tmp_path), LEARNS, TOKEN]
    finished = subprocess.run(words, env=environment(), capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    answer = json.loads(finished.stdout.splitlines()[-1])
    assert sorted(answer["models"]) == BUNDLES and answer["values"]["label_names"] == {"lesion": 1}
    assert answer["case"] == "from_slicer"
    before = server.ask("GET", "/datastore/").json()
    server.stop()
    server.start()
    assert server.ask("GET", "/datastore/").json() == before
    kept = server.ask("GET", "/datastore/label?label=from_slicer&tag=final")
    (tmp_path / "mask.nii.gz").write_bytes((tmp_path / answer["mask"]).read_bytes())
    assert_same_image(read_image(kept, tmp_path), sitk.ReadImage(str(tmp_path / "mask.nii.gz")))


def test_a_training_comes_into_use_if_it_is_better_or_on_request(server, bundles, images):
    shipped = (bundles / LEARNS / "models" / "model.pt").read_bytes()
    task = server.train(LEARNS, max_epochs=1, val_split=0.4)
    assert task["status"] == "DONE", task["details"]
    stats = server.ask("GET", "/info/").json()["train_stats"][LEARNS]
    [(version, compared)] = stats["versions"].items()
    assert compared["used"] == (compared["after"] > compared["before"])
    assert stats["in_use"] == (version if compared["used"] else "bundle")
    own = server.state / "model" / LEARNS / version / "model.pt"
    for name, weights in ((version, own), ("bundle", bundles / LEARNS / "models" / "model.pt")):
        assert server.ask("POST", f"/train/{LEARNS}/use?weights={name}").json()["in_use"] == name
        assert server.infer(LEARNS, image_id(images[LEARNS])).json()["weights"] == str(weights)
    assert server.ask("POST", f"/train/{LEARNS}/use?weights=../x").status == 422
    assert (bundles / LEARNS / "models" / "model.pt").read_bytes() == shipped


def test_the_process_that_computes_may_be_killed(server, images):
    [worker] = server.workers()
    os.kill(worker, signal.SIGKILL)
    time.sleep(1)
    reply = server.infer(LEARNS, image_id(images[LEARNS]))
    assert reply.status == 200, reply.body
    assert server.workers() != [worker]


def test_without_a_single_bundle_that_works_there_is_no_server(python, bundles, tmp_path):
    words = [python, "-m", "common", "label", "--studies", str(tmp_path), "--bundles", str(bundles / BROKEN)]
    finished = subprocess.run(
        [*words, "--port", "0"], env=environment(), capture_output=True, text=True, check=False, timeout=300
    )
    assert finished.returncode != 0
    assert "no bundle to serve" in finished.stdout + finished.stderr


@pytest.fixture(scope="module")
def stock(python, bundles, images, tmp_path_factory):
    """MONAI Label's own app `monaibundle` with the zip unpacked in its folder of models."""
    folder = tmp_path_factory.mktemp("stock")
    words = [python, "-m", "monailabel.main", "apps", "--download", "--name", "monaibundle", "--output", str(folder)]
    subprocess.run(words, env=environment(), check=True, capture_output=True)
    app = folder / "monaibundle"
    (app / "model").mkdir(exist_ok=True)
    unzip(pack([LEARNS], folder / "zips", folder=bundles)[0], folder / "between", app / "model")
    own = folder / "studies"
    shutil.copytree(images[LEARNS].parent / "labels" / "final", own / "labels" / "final")
    for path in images[LEARNS].parent.glob("MGHNICU*"):
        shutil.copy(path, own)
    words = ["-m", "monailabel.main", "start_server", "--app", str(app), "--studies", str(own), "--host", "127.0.0.1"]
    words += [
        "--port",
        "{port}",
        "--conf",
        "models",
        LEARNS,
        "--conf",
        "zoo_source",
        "local",
        "--conf",
        "sam2",
        "false",
    ]
    running = Server(python, words, folder / "server")
    running.app = app
    yield running
    running.stop()


def test_the_stock_app_answers_from_the_zip_as_inferring_does(stock, bundles, images, tmp_path):
    wanted = ServedBundle(bundles / LEARNS).infer(images[LEARNS], tmp_path)
    found = read_image(stock.infer(LEARNS, image_id(images[LEARNS]), "image"), tmp_path)
    assert_same_image(found, sitk.ReadImage(str(wanted.image)))


def test_the_stock_app_trains_the_zip_for_one_epoch(stock, images):
    models = stock.app / "model" / LEARNS / "models"
    before = (models / "model.pt").read_bytes()
    task = stock.train(LEARNS, max_epochs=1, val_split=0.4)
    assert task["status"] == "DONE", task["details"]
    assert (models / "model.pt").read_bytes() != before
    assert stock.infer(LEARNS, image_id(images[LEARNS])).status == 200
