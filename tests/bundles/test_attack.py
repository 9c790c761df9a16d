"""Attacks on inference with the shipped weights, counted: `pytest -m attack tests/bundles/test_attack.py -s`.

Damaged files, tables, names, bombs and kills: a case fails by name or has the result of the undamaged file; the other
cases, the user's files and what lies outside the output folder are as they were. ATTACK_SEED draws other damages.
"""

import csv
import gzip
import io
import json
import os
import resource
import shutil
import struct
import subprocess
import time
import zipfile
import zlib
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
import torch
from PIL import Image
from scipy.io import loadmat, savemat

from common.adc import simulate_neonatal_adc
from common.adc.layouts import csv_datalist
from common.cine import simulate_cine_mr
from common.doppler import simulate_doppler
from common.echo import simulate_echo
from common.errors import NoDataError, UnusableFileError
from common.files import read_csv, write_csv
from common.rf import simulate_rf_ultrasound
from tests.bundles.attacks import (
    SEED,
    Tally,
    contents,
    damages,
    difference,
    infer,
    judge,
    show,
    tables,
    unclear,
)
from tests.bundles.harness import BUNDLES, command, environment, root, workflow

pytestmark = [pytest.mark.attack, pytest.mark.filterwarnings("ignore")]  # libraries warn of the damage made here

HIE = {"tta": False}
RF = {"grid_size": [None, 32], "refine": "none"}


@pytest.fixture(scope="module")
def tallies(request):
    found = []
    yield found
    show(request, found)


@pytest.fixture
def tally(tallies, request):
    tallies.append(Tally(request.node.name.removeprefix("test_")))
    return tallies[-1]


@pytest.fixture(scope="module")
def adc(tmp_path_factory):
    """ADC and Z map of one newborn, as .mha."""
    folder = simulate_neonatal_adc(
        tmp_path_factory.mktemp("adc"), 1, 3, size=(32, 36, 4), spacing_mm=(3.2, 3.2, 20.0), progress=False
    )
    return next((folder / "1ADC_ss").iterdir()), next((folder / "2Z_ADC").iterdir())


@pytest.fixture(scope="module")
def cine(tmp_path_factory):
    """A cine of one patient, as .nii.gz."""
    folder = tmp_path_factory.mktemp("cine")
    simulate_cine_mr(folder, 1, 3, size=48, frames=6, slices=2, field_of_view_mm=220.0)
    return next(folder.rglob("*_4d.nii.gz"))


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    folder = tmp_path_factory.mktemp("video")
    simulate_echo(folder, 1, 3, size=48, frames=(40, 41), frame_rate_hz=25.0)
    return next(folder.rglob("*.avi"))


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two RF frames, as an uncompressed .mat."""
    return simulate_rf_ultrasound(
        tmp_path_factory.mktemp("pair"), 1, 3, content="inclusion", samples=256, lines=32, strain_percent=(1.0, 1.01)
    )[0]


@pytest.fixture(scope="module")
def screens(tmp_path_factory):
    """A Doppler screen as DICOM, and another as PNG with labels.csv."""
    folder = tmp_path_factory.mktemp("screens")
    simulate_doppler(folder / "dicom", 1, seed=3)
    simulate_doppler(folder / "png", 1, seed=3, form="png")
    return folder


def attack(tally, tmp_path, bundle, place, content, checksum=True, seed=1, whole="whole", **settings):
    """Run one inference over the whole file and its damaged copies, which `place` writes under their names."""
    data, alone = tmp_path / "data", tmp_path / "alone"
    place(alone, whole, content)
    place(data, whole, content)
    trials = []
    for name, damaged in damages(content, seed):
        place(data, name, damaged)
        trials.append(name)
    expected = plain(infer(bundle, alone, tmp_path / "expected", **settings)[0])
    before = contents(data)
    predictions, failed = map(plain, infer(bundle, data, tmp_path / "output", **settings))
    assert contents(data) == before, "the input has changed"
    assert {path.name for path in tmp_path.iterdir()} == {"data", "alone", "expected", "output"}
    judge(tally, trials, whole, expected[whole], predictions, failed, checksum)
    tally.check()


def plain(rows):
    """Return rows by the name of the trial, where a case is named by its folder too."""
    return {case.removesuffix("_pair"): row for case, row in rows.items()}


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@pytest.mark.parametrize("which", [0, 1], ids=["adc", "zmap"])
@pytest.mark.parametrize("suffix", [".mha", ".nii.gz", ".nrrd"])
def test_hie(tally, tmp_path, adc, which, suffix):
    stored = []
    for number, path in enumerate(adc):
        target = tmp_path.parent / f"{tmp_path.name}-{number}{suffix}"
        sitk.WriteImage(sitk.ReadImage(str(path)), str(target), useCompression=True)
        stored.append(target.read_bytes())

    def place(folder, name, content):
        for number, kind in enumerate(("1ADC_ss", "2Z_ADC")):
            put(folder / kind / f"{name}{suffix}", content if number == which else stored[number])

    attack(tally, tmp_path, "hie_ladp_seg", place, stored[which], seed=which, **HIE)


def test_cmr_nifti(tally, tmp_path, cine):
    def place(folder, name, content):
        put(folder / name / f"{name}_4d.nii.gz", content)

    attack(tally, tmp_path, "cmr_hf_classify", place, cine.read_bytes())


def test_echo_avi(tally, tmp_path, video):
    def place(folder, name, content):
        put(folder / f"{name}.avi", content)

    attack(tally, tmp_path, "echo_coreecho", place, video.read_bytes(), checksum=False)


@pytest.mark.parametrize("form", ["mat", "compressed mat", "npz", "hdf5"])
def test_rf(tally, tmp_path, pair, form):
    stored = {name: value for name, value in loadmat(pair).items() if not name.startswith("_")}
    source = tmp_path.parent / f"{tmp_path.name}.npz"
    if form == "npz":
        np.savez_compressed(source, **stored)
    elif form == "hdf5":
        write_hdf5(source, stored)
    else:
        source = source.with_suffix(".mat")
        savemat(source, stored, do_compression=form != "mat")
    suffix = ".npz" if form == "npz" else ".mat"

    def place(folder, name, content):
        put(folder / name / f"pair{suffix}", content)  # two that are cut to one frame would be a pair in one folder

    attack(tally, tmp_path, "elasto_flow", place, source.read_bytes(), checksum=form in ("npz", "compressed mat"), **RF)


def write_hdf5(path, stored):
    import h5py

    with h5py.File(path, "w") as file:
        for name, value in stored.items():
            file[name] = np.asarray(value).T


def test_doppler_png(tally, tmp_path, screens):
    source = next((screens / "png").rglob("*.png"))
    row = read_csv(screens / "png" / "labels.csv")[0]

    def place(folder, name, content):
        put(folder / f"{name}.png", content)
        rows = read_csv(folder / "labels.csv") if (folder / "labels.csv").exists() else []
        write_csv(folder / "labels.csv", [*rows, {**row, "filename": f"{name}.png"}])

    attack(tally, tmp_path, "doppler_keypoint", place, source.read_bytes())


def test_doppler_dicom(tally, tmp_path, screens):
    source = next((screens / "dicom").rglob("*.dcm"))

    def place(folder, name, content):
        put(folder / f"{name}.dcm", content)

    attack(tally, tmp_path, "doppler_keypoint", place, source.read_bytes(), checksum=False)


# Names that a case may have on disk: each must give the result of the plain name, under a name of its own.
NAMES = [
    "plain", "$x$", "$__import__('os')", "=1+1", "-rf", "+1", "@SUM(A1)", "%x", "@x", "#2", "a b", " a", "a,b", "a;b",
    "a'b", 'a"b', "a\nb", "a\tb", "..a", "a..", "~", "*", "a\\b", "C:", "CON", "ü", "u\u0308", "名前", "\u202egnp", "x" * 200,
    "predictions", "failed", "key", "beats", "{x}", "a\x07b", os.fsdecode(b"\xff\xfe"),
]  # fmt: skip


def named(name):
    """Return a name as the tables show it."""
    shown = name.encode("utf-8", "backslashreplace").decode()
    return f"'{shown}" if shown.startswith(("=", "+", "-", "@", "\t", "\r")) else shown


def judge_names(tally, names, output, rows, failed, expected, parent):
    """Count each name: the result of the plain one, or refused with the remedy."""
    for name in names:
        row, reason = rows.get(named(name)), failed.get(named(name), {}).get("reason")
        if row is None:
            tally.count(ascii(name), True, "" if reason and "rename it" in reason else f"no result: {reason}")
        else:
            tally.count(ascii(name), False, difference(row, expected))
    tally.check()
    assert len(rows) + len(failed) == len(names), "a name has given two cases"
    for suffix in (".json", ".png"):
        assert len(list(output.glob(f"*{suffix}"))) == len(rows), "two names have one file"
    for row in (output / "predictions.csv").read_text().splitlines():
        assert not row.startswith(("=", "+", "-", "@")), f"a spreadsheet would take {row} for a formula"
    assert {path.name for path in parent.iterdir()} <= {"data", "output"}, "something was written beside the output"


@pytest.mark.parametrize(
    "bundle", ["echo_coreecho", "doppler_keypoint", "cmr_hf_classify", "hie_ladp_seg", "elasto_flow"]
)
def test_names(tally, tmp_path, bundle, originals):
    place, content, settings = originals(bundle)
    names = NAMES if bundle != "elasto_flow" else NAMES[::2]  # a pair takes a second
    for name in names:
        if not (bundle == "hie_ladp_seg" and name.startswith(".")):
            place(tmp_path / "data", name, content)
    before = contents(tmp_path / "data")
    rows, failed = infer(bundle, tmp_path / "data", tmp_path / "output", **settings)
    assert contents(tmp_path / "data") == before
    visible = [name for name in names if not name.startswith(".")]
    judge_names(tally, visible, tmp_path / "output", rows, failed, rows["plain"], tmp_path)


@pytest.fixture
def originals(adc, cine, video, pair, screens):
    """What writes a case of a bundle under a name, what it holds, and settings."""

    def adc_case(folder, name, content):
        for kind, path in zip(("1ADC_ss", "2Z_ADC"), adc, strict=True):
            put(folder / kind / f"{name}.mha", path.read_bytes())

    def writer(form):
        return lambda folder, name, content: put(folder / form.format(name), content)

    def cine_case(folder, name, content):
        put(folder / name / "cine_4d.nii.gz", content)

    def original(bundle):
        return {
            "hie_ladp_seg": (adc_case, b"", HIE),
            "cmr_hf_classify": (cine_case, cine.read_bytes(), {}),
            "echo_coreecho": (lambda f, n, c: put(f / f"{n}.avi", c), video.read_bytes(), {}),
            "elasto_flow": (lambda f, n, c: put(f / f"{n}.mat", c), pair.read_bytes(), RF),
            "doppler_keypoint": (
                lambda f, n, c: put(f / f"{n}.dcm", c), next((screens / "dicom").rglob("*.dcm")).read_bytes(), {}
            ),
        }[bundle]  # fmt: skip

    return original


# Names of a case in a table: they would lead out of the output folder.
LEADING_OUT = [
    "../out",
    "../../out",
    "/tmp/out",
    "a/../../out",
    "..",
    ".",
    "a/b",
    "C:\\out",
    "$x$",
    "=1+1",
    "x" * 300,
    "é",
]


def test_case_names_in_datalist_hie(tally, tmp_path, adc):
    data = tmp_path / "data"
    for number, path in enumerate(adc):
        put(data / f"{number}.mha", path.read_bytes())
    rows = [{"case": name, "adc": "0.mha", "zmap": "1.mha"} for name in ["plain", *LEADING_OUT]]
    write_plain(data / "datalist.csv", rows)
    found, failed = infer("hie_ladp_seg", data, tmp_path / "output", **HIE)
    judge_names(tally, ["plain", *LEADING_OUT], tmp_path / "output", found, failed, found["plain"], tmp_path)


def test_case_names_in_pairs_rf(tally, tmp_path, pair):
    data = tmp_path / "data"
    put(data / "pair.mat", pair.read_bytes())
    rows = [{"case": name, "pre": "pair.mat", "post": "pair.mat"} for name in ["plain", *LEADING_OUT]]
    write_plain(data / "pairs.csv", rows)
    found, failed = infer("elasto_flow", data, tmp_path / "output", **RF)
    judge_names(tally, ["plain", *LEADING_OUT], tmp_path / "output", found, failed, found["plain"], tmp_path)


def write_plain(path, rows):
    """Write a table as a user would, formulas and all."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


# (name, cm_s_per_px as it stands in labels.csv, whether it is 0.5)
CELLS = [
    ("plain", "0.5", True), ("comma", "0,5", True), ("exponent", "5e-1", True), ("blanks", " 0.5 ", True),
    ("plus", "+0.5", True), ("zeros", "0.500", True), ("nodigit", ".5", True), ("nan", "NaN", False),
    ("inf", "inf", False), ("huge", "1e999", False), ("large", "1e7", False), ("tiny", "1e-300", False),
    ("negative", "-0.5", False), ("zero", "0", False), ("formula", "=1/2", False), ("unit", "0.5 cm/s", False),
    ("true", "true", False), ("hex", "0x1p-1", False), ("underscore", "0_5", False), ("arabic", "٠.٥", False),
    ("fullwidth", "０.５", False), ("empty", "", False), ("two", "0.5.0", False), ("error", "#REF!", False),
    ("long", "9" * 5000, False), ("minus", "\u22120.5", False), ("null", "NULL", False),
]  # fmt: skip


def test_cells_of_a_table(tally, tmp_path, screens):
    picture = next((screens / "png").rglob("*.png")).read_bytes()
    rows = []
    for name, cell, _ in CELLS:
        put(tmp_path / "data" / f"{name}.png", picture)
        rows.append({"filename": f"{name}.png", "cm_s_per_px": cell, "y_baseline": "60", "seconds_per_px": "0.005"})
    write_plain(tmp_path / "data" / "labels.csv", rows)
    found, failed = infer("doppler_keypoint", tmp_path / "data", tmp_path / "output")
    for name, cell, is_half in CELLS:
        if name in failed:
            problem = f"{cell!r} refused" if is_half else unclear(failed[name]["reason"], name)
        elif is_half:
            problem = difference(found[name], found["plain"])
        else:
            problem = f"{cell[:20]!r} taken as a number"
        tally.count(name, name in failed, problem)
    tally.check()


PLAIN_TABLE = "case,adc,zmap\nmüller,a.mha,z.mha\nweiß,b.mha,z.mha\n"
TABLES = {
    "utf-8": PLAIN_TABLE.encode(), "utf-8 with mark": PLAIN_TABLE.encode("utf-8-sig"),
    "utf-16": PLAIN_TABLE.encode("utf-16"), "latin-1": PLAIN_TABLE.encode("latin-1"),
    "utf-16 without mark": PLAIN_TABLE.encode("utf-16-le"), "dos": PLAIN_TABLE.encode("cp850"),
    "macintosh": PLAIN_TABLE.encode("mac_roman"),
    "utf-32": PLAIN_TABLE.encode("utf-32"), "ebcdic": PLAIN_TABLE.encode("cp500"),
    "semicolons": PLAIN_TABLE.replace(",", ";").encode(), "tabs": PLAIN_TABLE.replace(",", "\t").encode(),
    "sep line": b"sep=;\n" + PLAIN_TABLE.replace(",", ";").encode(), "bars": PLAIN_TABLE.replace(",", "|").encode(),
    "windows lines": PLAIN_TABLE.replace("\n", "\r\n").encode(), "old mac lines": PLAIN_TABLE.replace("\n", "\r").encode(),
    "blanks": PLAIN_TABLE.replace(",", " , ").encode(), "capitals": PLAIN_TABLE.replace("case,adc", "Case,ADC").encode(),
    "empty rows": PLAIN_TABLE.encode() + b"\n,,\n\n", "no last line end": PLAIN_TABLE.encode()[:-1],
    "quotes": PLAIN_TABLE.replace("a.mha", '"a.mha"').encode(), "open quote": PLAIN_TABLE.replace("a.mha", '"a.mha').encode(),
    "too many cells": PLAIN_TABLE.replace("a.mha", "a.mha,1,2").encode(), "column twice": PLAIN_TABLE.replace("adc", "zmap").encode(),
    "cut": PLAIN_TABLE.encode()[:-8], "header alone": b"case,adc,zmap\n", "nothing": b"", "zeros": bytes(400),
    "zero inside": PLAIN_TABLE.replace("a.mha", "a\0.mha").encode(), "other columns": b"name,path\n1,2\n",
    "zip": b"PK\x03\x04" + bytes(range(256)) * 4, "html": b"<!doctype html><html><body>not found</body></html>",
}  # fmt: skip


def test_encodings_and_delimiters_of_a_table(tally, tmp_path):
    (tmp_path / "right").mkdir()
    expected = [("müller", "a.mha"), ("weiß", "b.mha")]
    for name, content in TABLES.items():
        folder = tmp_path / name
        put(folder / "datalist.csv", content)
        try:
            items = csv_datalist(folder)
        except (UnusableFileError, NoDataError) as error:
            tally.count(name, True, unclear(str(error), "datalist.csv"))
            continue
        read = [(item["case"], Path(item["image"][0]).name) for item in items]
        tally.count(name, False, "" if read == expected else f"read as {read}")
    tally.check()


def meta_image(**fields):
    header = {
        "ObjectType": "Image", "NDims": 3, "BinaryData": "True", "BinaryDataByteOrderMSB": "False",
        "CompressedData": "False", "TransformMatrix": "1 0 0 0 1 0 0 0 1", "Offset": "0 0 0",
        "ElementSpacing": "3 3 20", "DimSize": "32 36 4", "ElementType": "MET_FLOAT", **fields, "ElementDataFile": "LOCAL",
    }  # fmt: skip
    return "".join(f"{name} = {value}\n" for name, value in header.items()).encode()


def test_bombs_hie(tally, tmp_path, adc, bounded):
    zeros = zlib.compress(bytes(42_000_000))
    many = " ".join(["2"] * 900)
    bombs = {
        "ndims": meta_image(NDims=900, DimSize=many), "negative": meta_image(NDims=-1), "ndims_huge": meta_image(NDims=2**40),
        "dimsize": meta_image(DimSize="40000 40000 4"), "overflow": meta_image(DimSize=f"{2**32} {2**32} 1"),
        "dimsize_compressed": meta_image(DimSize="40000 40000 4", CompressedData="True", CompressedDataSize=len(zeros)) + zeros,
        "zeros": meta_image(CompressedData="True", CompressedDataSize=len(zeros)) + zeros,
        "channels": meta_image(ElementNumberOfChannels=2**31), "list": meta_image().replace(b"LOCAL", b"LIST"),
        "device": meta_image().replace(b"LOCAL", b"/dev/zero"), "elsewhere": meta_image().replace(b"LOCAL", b"/etc/passwd"),
        "pattern": meta_image().replace(b"LOCAL", b"%d.raw 1 1000000000 1"), "long_line": b"ObjectType = " + b"x" * 5_000_000,
    }  # fmt: skip
    place, _, settings = _adc_place(adc)
    judge_bombs(tally, tmp_path, "hie_ladp_seg", bombs, place, settings)


def _adc_place(adc):
    def place(folder, name, content):
        put(folder / "1ADC_ss" / f"{name}.mha", content or adc[0].read_bytes())
        put(folder / "2Z_ADC" / f"{name}.mha", adc[1].read_bytes())

    return place, b"", HIE


def judge_bombs(tally, tmp_path, bundle, bombs, place, settings, whole=b""):
    place(tmp_path / "data", "whole", whole)
    for name, content in bombs.items():
        place(tmp_path / "data", name, content)
    found, failed = infer(bundle, tmp_path / "data", tmp_path / "output", **settings)
    assert set(found) == {"whole"}
    for name in bombs:
        tally.count(
            name, True, unclear(failed[name]["reason"], name) if name in failed else "neither result nor reason"
        )
    tally.check()


@pytest.fixture
def bounded():
    """Refuse that a test's peak of memory grows by more than 1 GB."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e6
    assert grown < 1, f"memory grew by {grown:.1f} GB"


def nifti(shape, dtype=np.int16):
    header = nibabel.Nifti1Header()
    header.set_data_dtype(dtype)
    header["dim"][:] = 1
    header["dim"][0] = len(shape)
    header["dim"][1 : 1 + len(shape)] = shape
    header["pixdim"][1:5] = 2
    header["magic"], header["vox_offset"], header["qform_code"] = b"n+1", 352, 1
    return header.binaryblock + bytes(4)


def test_bombs_cmr(tally, tmp_path, cine, bounded):
    bombs = {
        "claims": gzip.compress(nifti([32767] * 4)), "frames": gzip.compress(nifti([48, 48, 2, 32767])),
        "zeros": gzip.compress(nifti([48, 48, 2, 6]) + bytes(42_000_000), 1), "negative": gzip.compress(nifti([48, -48, 2, 6])),
        "none": gzip.compress(nifti([0, 0, 0, 0])), "complex": gzip.compress(nifti([32767] * 3 + [6], np.complex128)),
    }  # fmt: skip

    def place(folder, name, content):
        put(folder / name / f"{name}_4d.nii.gz", content)

    judge_bombs(tally, tmp_path, "cmr_hf_classify", bombs, place, {}, cine.read_bytes())


def png_claim(width, height, data):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def test_bombs_doppler(tally, tmp_path, screens, bounded):
    zeros = zlib.compress(bytes(42_000_000))
    source = next((screens / "dicom").rglob("*.dcm"))
    bombs = {"claims.png": png_claim(65535, 65535, zeros), "largest.png": png_claim(2**31 - 1, 2**31 - 1, zeros)}
    text = zlib.compress(bytes(200_000_000))
    bombs["text.png"] = png_claim(600, 200, b"")[:33] + struct.pack(">I", len(text) + 3) + b"zTXta\0\0" + text
    for name, change in {
        "rows": {"Rows": 65535, "Columns": 65535}, "frames": {"NumberOfFrames": 2**31 - 1}, "samples": {"SamplesPerPixel": 65535},
    }.items():  # fmt: skip
        dataset = pydicom.dcmread(source)
        for keyword, value in change.items():
            setattr(dataset, keyword, value)
        stream = io.BytesIO()
        dataset.save_as(stream)
        bombs[f"{name}.dcm"] = stream.getvalue()
    dataset = pydicom.dcmread(source)
    head = io.BytesIO()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    dataset.save_as(head)
    bombs["deflated.dcm"] = _deflated(head.getvalue())
    place = {name.split(".")[0]: name for name in bombs}
    judge_bombs(
        tally, tmp_path, "doppler_keypoint", {name.split(".")[0]: content for name, content in bombs.items()},
        lambda folder, name, content: put(folder / place.get(name, f"{name}.dcm"), content), {}, source.read_bytes(),
    )  # fmt: skip


def _deflated(content):
    """Return the file with 300 MB of zeros in place of its deflated data set."""
    meta = 132 + 12 + struct.unpack("<I", content[140:144])[0]
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return content[:meta] + packer.compress(bytes(300_000_000)) + packer.flush()


def test_bombs_rf(tally, tmp_path, pair, bounded):
    import h5py

    with h5py.File(tmp_path.parent / f"{tmp_path.name}.mat", "w") as file:
        for name in ("Im1", "Im2"):
            file.create_dataset(name, (10**6, 10**6), "f4", chunks=(1000, 1000), compression="gzip")
    bombs = {"hdf5.mat": (tmp_path.parent / f"{tmp_path.name}.mat").read_bytes()}
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<f8", "fortran_order": False, "shape": (2, 10**6, 10**6)})
    bombs["claims.npy"] = head.getvalue()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("rf.npy", head.getvalue() + bytes(42_000_000))
    bombs["zip.npz"] = archive.getvalue()
    objects = io.BytesIO()
    np.save(objects, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    bombs["pickle.npy"] = objects.getvalue()
    compressed = zlib.compress(struct.pack("<II", 14, 2**31) + bytes(42_000_000))
    head128 = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"
    bombs["matlab.mat"] = head128 + struct.pack("<II", 15, len(compressed)) + compressed
    bombs["meta.mha"] = meta_image(NDims=900, DimSize=" ".join(["2"] * 900))
    place = {name.split(".")[0]: name for name in bombs}
    judge_bombs(
        tally, tmp_path, "elasto_flow", {name.split(".")[0]: content for name, content in bombs.items()},
        lambda folder, name, content: put(folder / place.get(name, f"{name}.mat"), content), RF, pair.read_bytes(),
    )  # fmt: skip


def test_bombs_echo(tally, tmp_path, video, bounded):
    content = video.read_bytes()
    stream, main = content.index(b"strf") + 8, content.index(b"avih") + 8
    claimed = bytearray(content)
    claimed[stream + 4 : stream + 12] = struct.pack("<II", 65535, 65535)
    claimed[main + 32 : main + 40] = struct.pack("<II", 65535, 65535)
    bombs = {
        "claims.avi": bytes(claimed), "nifti.nii.gz": gzip.compress(nifti([32767] * 4)),
        "meta.mha": meta_image(NDims=900, DimSize=" ".join(["2"] * 900)), "dimsize.mha": meta_image(DimSize="40000 40000 4"),
        "playlist.avi": b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "concat.avi": b"ffconcat version 1.0\nfile /etc/passwd\n",
    }  # fmt: skip
    place = {name.split(".")[0]: name for name in bombs}
    bombs = {name.split(".")[0]: content for name, content in bombs.items()}
    claims = bombs.pop("claims")  # a decoder takes the size from the pictures: refused, or the same result
    put(tmp_path / "data" / "claims.avi", claims)
    place_file = lambda folder, name, data: put(folder / place.get(name, f"{name}.avi"), data)  # noqa: E731
    place_file(tmp_path / "data", "whole", content)
    for name, data in bombs.items():
        place_file(tmp_path / "data", name, data)
    found, failed = infer("echo_coreecho", tmp_path / "data", tmp_path / "output")
    judge(tally, ["claims", *bombs], "whole", found["whole"], found, failed)
    tally.check()


WEIGHTS = [(bundle, name) for bundle in BUNDLES for name in ("model.pt", "model.json")]


@pytest.mark.parametrize(("bundle", "name"), [*WEIGHTS, ("hie_ladp_seg", "threshold.json")])
def test_weights(tally, tmp_path, bundle, name):
    source = root(bundle) / "models"
    state, settings, threshold = loaded(bundle, source)
    content = (source / name).read_bytes()
    few = {"flips": 8, "cuts": 2, "blocks": 1} if name == "model.pt" else {"flips": 24, "cuts": 4, "blocks": 0}
    for trial, damaged in damages(content, 5, **few):
        folder = tmp_path / trial
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns("pretrained*"))
        (folder / name).write_bytes(damaged)
        try:
            found = loaded(bundle, folder)
        except Exception as error:
            causes = list(chain(error))
            tally.count(
                trial,
                True,
                ""
                if any(part in text for text in causes for part in (name, *settings))
                else f"the file is not named: {causes}",
            )
        else:
            same = all(torch.equal(found[0][key], value) for key, value in state.items())
            problem = "" if same and found[1:] == (settings, threshold) else f"loaded as {found[1:]}"
            tally.count(trial, False, problem, changed=name != "model.pt" and same)
        shutil.rmtree(folder)
    tally.check()


def chain(error):
    while error is not None:
        yield str(error)
        error = error.__cause__ or error.__context__


def loaded(bundle, models):
    """Return the tensors, settings and threshold that an inference takes from a folder of weights."""
    flow = workflow(bundle, ["inference.json"], "inferring", "infer", model_dir=str(models))
    flow.initialize()
    flow.parser.get_parsed_content("load")
    threshold = flow.parser.get_parsed_content("decision").threshold if bundle == "hie_ladp_seg" else None
    network = flow.parser.get_parsed_content("network_def")
    return network.state_dict(), flow.parser.get_parsed_content("trained"), threshold


def test_kills(tally, tmp_path, adc):
    """A killed inference leaves whole files only, and the next run in its folder has every case."""
    place, content, settings = _adc_place(adc)
    for number in range(40):
        place(tmp_path / "data", f"case{number:02d}", content)
    output = tmp_path / "output"
    all_settings = {"dataset_dir": str(tmp_path / "data"), "output_dir": str(output), **settings}
    words = command("hie_ladp_seg", "inferring", ["inference.json"], all_settings)
    random = np.random.default_rng([SEED, 9])
    states = []
    for trial in range(4):
        table = output / "predictions.csv"
        old = table.stat().st_ino if table.exists() else 0
        process = subprocess.Popen(
            words, cwd=tmp_path, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while process.poll() is None and not (table.exists() and table.stat().st_ino != old):
            time.sleep(0.01)
        time.sleep(float(random.uniform(0, 3)))
        process.kill()
        process.wait()
        rows, failed = tables(output)
        states.append((trial, rows, failed, broken_files(output)))
    expected, failed = infer("hie_ladp_seg", tmp_path / "data", output, **settings)
    assert len(expected) == 40 and not failed
    one = expected["case00"]
    for trial, rows, failed, broken in states:
        wrong = [difference(row, one) for row in rows.values() if difference(row, one)]
        problem = f"broken files {broken}, wrong rows {wrong}, failed {failed}" if broken or wrong or failed else ""
        tally.count(f"kill{trial} after {len(rows)} cases", False, problem)
    assert not any(difference(row, one) for row in expected.values())
    tally.check()


def broken_files(folder):
    """Return the files of a folder, as its user's patterns find them, that are not whole."""
    broken = []
    for path in folder.glob("*.*"):
        try:
            if path.suffix == ".json":
                json.loads(path.read_text())
            elif path.suffix == ".png":
                Image.open(path).load()
            elif path.suffix == ".mha":
                sitk.ReadImage(str(path))
        except Exception as error:
            broken.append(f"{path.name}: {error}")
    return broken
