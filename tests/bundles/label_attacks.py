"""Hostile requests to a label server whose studies hold an image and a label named `known`."""

import gzip
import io
import tarfile
from collections.abc import Mapping
from itertools import product
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import quote_plus

from tests.bundles.label_server import TOKEN, form

LEARNS = "hie_ladp_seg"
JSON = "application/json"

# Ways to say a file outside the studies, or something that a shell or a config would read.
PATHS = r"""
../secret
../secret.nii.gz
../../secret
..\secret
....//secret
%2e%2e/secret
..%2fsecret
./../secret
labels/../../secret
labels/final/known
label_server/main
/etc/passwd
/etc/shadow
/proc/self/environ
~/.ssh/id_rsa
file:///etc/passwd
http://127.0.0.1:9/x
\\host\share
C:\Windows\win.ini
.
..
-rf
$(touch)
`id`
*
known;id
@x
%x
#x
$x
"""
NAMES = [*PATHS.strip().splitlines(), "", " ", "secret\x00.nii.gz", "known\n../secret", "x" * 5000]
FILES = """
main.py
../main.py
x.nii.gz.py
x.pt
x.json
x
..
.nii.gz
x.tar
x.so
x;b.nii
x|b.nii
$x.nii
x.csv
._x.nii
x.nii.gz
x.nii
x.mha
x.mhd
x.nrrd
x.png
x.avi
x.mp4
x.mat
x.npz
x.npy
""".strip().splitlines()
SETTINGS = r"""
{"num_workers": 64}
{"batch_size": 100000}
{"volume_batch_size": 1}
{"threshold": NaN}
{"threshold": 1e400}
{"threshold": "$__import__('os').getpid()"}
{"threshold": [1]}
{"threshold": {"_target_": "os.getpid"}}
{"tta": 1}
{"number": -1}
{"number": 1.5}
{"number": "0"}
{"number": 5}
{"image": "/etc/passwd"}
{"dataset_dir": "/etc"}
{"output_dir": "/tmp"}
{"save_label": true, "label_tag": "../../x"}
{"model": "x"}
{"device": "cuda:7"}
{"bundle_root": "/tmp"}
{"_target_": "os.getpid"}
{"$x": 1}
{"a#b": 1}
{
[1]
1
null
"x"
""".strip().splitlines()
OPTIONS = r"""
{"learning_rate": NaN}
{"learning_rate": Infinity}
{"learning_rate": -1}
{"learning_rate": "1"}
{"max_epochs": 0}
{"max_epochs": 1000000}
{"max_epochs": true}
{"max_epochs": 1.5}
{"max_epochs": null}
{"max_epochs": "$__import__('os').getpid()"}
{"batch_size": 1000000}
{"val_split": 0}
{"val_split": 2}
{"num_workers": 64}
{"gpus": "all"}
{"model": "x"}
{"local_rank": 1}
{"network": 1}
{"bundle_root": "/"}
{
[]
1
""".strip().splitlines()
OFF = """
DELETE /datastore/image?id=known
DELETE /datastore/?id=known
DELETE /datastore/label?id=known&tag=final
GET /datastore/dataset
PUT /datastore/image/info?image=known
PUT /datastore/label/info?label=known&tag=final
PUT /datastore/updatelabelinfo?label=known&tag=final
GET /session/x
DELETE /session/..%2f..%2fx
GET /model/hie_ladp_seg
PUT /model/hie_ladp_seg
DELETE /model/hie_ladp_seg
GET /model/info/hie_ladp_seg
GET /logs/
GET /logs/gpu
GET /ohif/
GET /ohif/..%2f..%2fx
GET /proxy/dicom/wado/x
POST /proxy/dicom/x
POST /reload
GET /docs
GET /openapi.json
GET /
GET /static/..%2fapp.py
POST /scoring/
POST /scoring/dice
POST /batch/infer/hie_ladp_seg
POST /infer/wsi/hie_ladp_seg?image=known
POST /infer/wsi_v2/hie_ladp_seg?image=known
POST /train/
GET /../../etc/passwd
GET //etc/passwd
TRACE /info/
PATCH /info/
CONNECT /info/
""".strip().splitlines()
HOSTS = ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "10.0.0.1", "a@127.0.0.1")
ORIGINS = ("https://evil.example", "null", "http://localhost.evil.example", "http://127.0.0.1@evil.example")
HEADER = b"ObjectType = Image\nElementType = MET_UCHAR\n"
BOMBS = {
    "dimensions.mha": HEADER + b"NDims = 900\nElementDataFile = LOCAL\n",
    "claim.mha": HEADER + b"NDims = 3\nDimSize = 40000 40000 4\nElementSpacing = 1 1 1\nElementDataFile = LOCAL\n",
    "outside.mhd": HEADER + b"NDims = 3\nDimSize = 8 8 8\nElementDataFile = /etc/passwd\n",
    "outside.mha": HEADER + b"NDims = 3\nDimSize = 8 8 8\nElementDataFile = /etc/passwd\n",
    "outside.nrrd": b"NRRD0004\ntype: uchar\ndimension: 3\nsizes: 8 8 8\nencoding: raw\ndata file: /etc/passwd\n\n",
    "zeros.nii.gz": gzip.compress(bytes(2**30)),
    "cut.nii.gz": gzip.compress(bytes(range(256)) * 40)[:200],
    "empty.nii.gz": b"",
    "script.png": b"%!PS-Adobe-3.0 EPSF-3.0\n",
    "playlist.avi": b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
    "pickle.npy": b"\x93NUMPY\x01\x00\x46\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
    + b" " * 11
    + b"\nx",
}


class Attack(NamedTuple):
    method: str
    path: str
    body: bytes | None = None
    kind: str = JSON
    headers: Mapping = MappingProxyType({})


def upload(path, name="x.nii.gz", content=b"\x1f\x8b", field="file", method="PUT"):
    return Attack(method, path, *form(**{field: (name, content)}))


def names(target):
    """Each name wherever a name is asked for; `target` is a file outside."""
    for name in (str(target), f"..{target}", *NAMES):
        n = quote_plus(name)
        yield Attack("POST", f"/infer/{LEARNS}?image={n}&output=json")
        yield Attack("GET", f"/datastore/image?image={n}")
        yield Attack("GET", f"/datastore/image/info?image={n}")
        yield Attack("GET", f"/datastore/label?label={n}&tag=final")
        yield Attack("GET", f"/datastore/label?label=known&tag={n}")
        yield Attack("GET", f"/datastore/label/info?label=known&tag={n}")
        if name:
            yield upload(f"/datastore/image?image={n}")
            yield upload(f"/datastore/?image={n}")
        yield upload(f"/datastore/label?image={n}", field="label")
        yield upload(f"/datastore/label?image=known&tag={n}", field="label")
        yield Attack("POST", f"/train/{LEARNS}/use?weights={n}")


def files():
    """Files of other kinds, archives that unpack elsewhere, studies that are there."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("../../escaped"), io.BytesIO())
    for name, content in product(FILES, (b"import os", tar.getvalue())):
        yield upload("/datastore/image", name, content)
        yield upload("/datastore/label?image=known", name, content, field="label")
        yield upload(f"/infer/{LEARNS}", name, content, method="POST")
    for suffix, content in ((".nii.gz", gzip.compress(b"x")), (".png", b"\x89PNG\r\n\x1a\n"), (".dcm", b"x")):
        yield upload("/datastore/image?image=known", f"known{suffix}", content)
        yield upload("/datastore/?image=KNOWN", f"x{suffix}", content)
    for unpack in ("true", "false"):
        yield upload(f"/session/?uncompress={unpack}", "x.tar", tar.getvalue(), field="files")
    for name, content in BOMBS.items():
        if "outside" in name or "playlist" in name:
            yield upload("/datastore/image", name, content)
            yield upload("/datastore/label?image=known", name, content, field="label")


def settings():
    """Wrong values, unknown models, bodies that are none."""
    for value in (*SETTINGS, "\x00", "[" * 50000, '{"threshold": ' + "9" * 5000 + "}"):
        yield Attack("POST", f"/infer/{LEARNS}?image=known&output=json", *form(params=value))
    yield Attack("POST", f"/infer/{LEARNS}?image=known", *form(params=("p.json", b"{}")))
    yield Attack("POST", "/infer/echo_coreecho?image=known", *form(params='{"clips": 100000}'))
    for query in ("image=known&output=dicom_seg", "image=known&output=../x", "session_id=../x", "image=", ""):
        yield Attack("POST", f"/infer/{LEARNS}?{query}")
    yield Attack("POST", "/infer/cmr_hf_classify?image=known&output=image")
    for model in ("unknown", "..", "../x", "%2e%2e", "%00", "%ff", "x" * 3000, "wsi/x", "__class__"):
        yield Attack("POST", f"/infer/{model}?image=known")
        yield Attack("POST", f"/train/{model}", b"{}")
    for option in OPTIONS:
        yield Attack("POST", f"/train/{LEARNS}", option.encode())
    yield Attack("POST", f"/train/{LEARNS}", b"\xff")
    yield Attack("POST", "/train/elasto_flow", b"{}")
    yield Attack("GET", "/train/?all=perhaps")
    yield Attack("GET", "/datastore/?output=train")
    yield Attack("POST", "/activelearning/unknown", b"{}")
    yield Attack("POST", "/activelearning/random", b"[")
    unnamed = b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n"
    for body in (b"", b"x", b"--b\r\n", unnamed, b"\x00" * 100):
        for kind in ("multipart/form-data; boundary=b", "multipart/form-data", "text/plain"):
            yield Attack("PUT", "/datastore/image?image=new", body, kind)
    fields = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n' * 2000 + b"--b--\r\n"
    yield Attack("PUT", "/datastore/image?image=new", fields, "multipart/form-data; boundary=b")


def what_is_off():
    """Addresses of MONAI Label that nobody needs here."""
    return (Attack(*line.split()) for line in OFF)


def at_the_door():
    """Without the token, with a wrong one, under another name, from another page."""
    for method, path in (
        ("GET", "/info/"), ("GET", "/datastore/?output=all"), ("GET", "/datastore/image?image=known"),
        ("POST", f"/infer/{LEARNS}?image=known"), ("POST", f"/train/{LEARNS}"), ("DELETE", "/train/"),
    ):  # fmt: skip
        for token in ("", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}"):
            yield Attack(method, path, headers={"Authorization": token})
        for host in HOSTS:
            yield Attack(method, path, headers={"Host": host})
        for origin in ORIGINS:
            yield Attack(method, path, headers={"Origin": origin})
    password = b"username=admin&password=admin&grant_type=password"
    for path in ("/auth/token", "/auth/token/valid"):
        yield Attack("POST", path, password, "application/x-www-form-urlencoded", {"Authorization": ""})
    asks_first = {"Origin": "https://evil.example", "Access-Control-Request-Method": "PUT"}
    yield Attack("OPTIONS", "/info/", headers=asks_first)
    yield Attack("GET", "/info/?token=wrong", headers={"Authorization": ""})
