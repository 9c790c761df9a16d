"""The folds of every bundle, as they have been since its published numbers were measured.

The expected values are no derivation: they were printed once by the five functions that divided the cases before there
was one for all, because results of different versions compare only if the folds stay what they were.
"""

import csv

import nibabel
import numpy as np
import openpyxl
import pytest
from PIL import Image

from common.adc import neonatal_adc_datalist
from common.cine import cine_datalist
from common.doppler import doppler_datalist
from common.echo import echo_datalist
from common.rf import rf_datalist

NAMES = [f"p{n:02d}" for n in range(13)]


def adc(folder):
    for name in NAMES:
        for visit in ("01", "02")[: 1 + int(name[1:]) % 2]:
            (folder / f"{name}-VISIT_{visit}.mha").touch()
    return neonatal_adc_datalist


def cine(folder):
    with (folder / "labels.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["patient_id", "ef"], *([name, 30 + 3 * n] for n, name in enumerate(NAMES))])
    voxels = np.random.default_rng(0).integers(0, 99, (6, 6, 1, 3)).astype(np.int16)
    for name in NAMES:
        nibabel.save(nibabel.Nifti1Image(voxels, np.diag([2.0, 2.0, 8.0, 1.0])), folder / f"{name}.nii.gz")
    return cine_datalist


def doppler(folder):
    rows = [["filename", "wave", "x", "y", "patient_id"]]
    for n, name in enumerate(NAMES):
        Image.fromarray(np.full((30, 40), n, np.uint8)).save(folder / f"{name}.png")
        rows.append([name, "E", 3, 4, f"patient {(n // 2 * 5) % 7}"])
    with (folder / "labels.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    return doppler_datalist


def echo(folder):
    book = openpyxl.Workbook()
    book.active.append(["ECHO", *(f"SEG{n}" for n in range(6)), "Reference Frame", None, "End of Cycle", "Mask"])
    (folder / "A4C").mkdir()
    for n, name in enumerate(NAMES):
        (folder / "A4C" / f"{name}.avi").touch()
        book.active.append([name, *["MI" if n % 3 == 0 else "non-MI"] * 6, 1, None, 20, "ü"])
    book.save(folder / "A4C.xlsx")
    return echo_datalist


def rf(folder):
    for name in NAMES:
        np.save(folder / f"{name}.npy", np.zeros((3, 9, 4), np.float32))
    return rf_datalist


PARTS = {
    (adc, 0): "10,11,12 00,02,08 01,03,07 04,06 05,09",
    (adc, 7): "01,05,06 08,09,10 00,03,11 07,12 02,04",
    (cine, 0): "00,02,08,10 01,04,09 03,12 06,11 05,07",
    (cine, 7): "00,01,10,12 03,05,09 06,07 02,11 04,08",
    (doppler, 0): "04,05,10,11 08,09,12 06,07 00,01 02,03",
    (doppler, 7): "02,03,06,07 08,09,12 10,11 00,01 04,05",
    (echo, 0): "03,10,11 02,06,08 01,07,09 04,12 00,05",
    (echo, 7): "02,03,08 05,07,12 04,09,11 01,06 00,10",
    (rf, 0): "10,11,12 00,02,08 01,03,07 04,06 05,09",
    (rf, 7): "01,05,06 08,09,10 00,03,11 07,12 02,04",
}


@pytest.mark.parametrize(("bundle", "seed"), PARTS, ids=[f"{bundle.__name__} {seed}" for bundle, seed in PARTS])
def test_the_folds_are_what_they_were(tmp_path, bundle, seed):
    datalist = bundle(tmp_path)
    parts = [set(part.split(",")) for part in PARTS[bundle, seed].split()]
    held_out = ("validation",) if bundle is adc else ("test", "validation")
    for fold in range(5):
        found = {
            split: {item["case"][1:3] for item in datalist(tmp_path, split, fold, 5, seed=seed)}
            for split in ("training", *held_out)
        }
        assert [found[split] for split in held_out] == [parts[(fold + k) % 5] for k in range(len(held_out))]
        assert found["training"] == {name[1:] for name in NAMES} - set.union(*(found[split] for split in held_out))
