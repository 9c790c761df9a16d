import hashlib
from dataclasses import replace

import numpy as np
import pytest

from common.echo import echo_datalist, open_ultrasound_cine, simulate_echo
from common.echo.phantom import random_case
from common.files import read_csv

SMALL = {"size": 32, "frames": (10, 14)}


def digest(folder):
    return {p.relative_to(folder): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*.avi")}


def test_writes_the_same_pictures_for_the_same_seed(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        simulate_echo(tmp_path / name, cases=3, seed=seed, **SMALL)
    assert digest(tmp_path / "a") == digest(tmp_path / "b") != digest(tmp_path / "c")


def test_writes_echonet_with_its_tables(tmp_path):
    simulate_echo(tmp_path, cases=9, seed=3, **SMALL)
    rows = read_csv(tmp_path / "FileList.csv")
    assert [row["Split"] for row in rows].count("TRAIN") == 5
    for row in rows:
        volumes = float(row["EDV"]), float(row["ESV"])
        assert 100 * (1 - volumes[1] / volumes[0]) == pytest.approx(float(row["EF"]), abs=0.01)
        assert open_ultrasound_cine(tmp_path / "Videos" / f"{row['FileName']}.avi").frame_count == int(
            row["NumberOfFrames"]
        )
    tracings = [
        row for row in read_csv(tmp_path / "VolumeTracings.csv") if row["FileName"].startswith(rows[0]["FileName"])
    ]
    assert len(tracings) == 2 * 21
    assert len({row["Frame"] for row in tracings}) == 2


def test_traces_discs_that_sum_to_the_volume(tmp_path):
    """The method of discs over the tracing of a whole beat gives back the EF."""
    simulate_echo(tmp_path, cases=1, seed=5, size=112, frames=(90, 90), frame_rate_hz=60)
    row = read_csv(tmp_path / "FileList.csv")[0]
    discs: dict[str, list[float]] = {}
    axis: dict[str, float] = {}
    for line in read_csv(tmp_path / "VolumeTracings.csv"):
        x1, y1, x2, y2 = (float(line[key]) for key in ("X1", "Y1", "X2", "Y2"))
        length = np.hypot(x2 - x1, y2 - y1)
        if line["Frame"] not in axis:
            axis[line["Frame"]] = length
        else:
            discs.setdefault(line["Frame"], []).append(length)
    full, empty = (axis[frame] * np.square(discs[frame]).sum() for frame in axis)
    assert 100 * (1 - empty / full) == pytest.approx(float(row["EF"]), abs=1.0)


@pytest.mark.parametrize("layout", ["echonet", "camus", "camus_mhd", "hmc_qu"])
def test_is_read_back_whole(tmp_path, layout):
    simulate_echo(tmp_path, cases=6, seed=1, layout=layout, **SMALL)
    items = echo_datalist(tmp_path, "all")
    assert len(items) == 6
    for item in items:
        cine = open_ultrasound_cine(item["image"])
        first, last = item.get("frame_range", (0, cine.frame_count - 1))
        assert cine.read([first, last]).shape == (2, 32, 32, 3)
    if layout == "hmc_qu":
        assert {item["label"] for item in items} == {0, 1}
    else:
        assert all(12 <= item["label"] <= 78 for item in items)


def test_refuses_an_unknown_layout(tmp_path):
    with pytest.raises(ValueError, match="expected one of echonet, camus, camus_mhd, hmc_qu and a case, found 'dicom'"):
        simulate_echo(tmp_path, layout="dicom")


def test_shows_one_heart_in_one_view_without_variation():
    draws = [random_case(np.random.default_rng(seed), variation=0.0) for seed in range(3)]
    same = {(replace(heart, ef_percent=0, phase=0), probe) for heart, probe in draws}
    assert len(same) == 1 and len({heart.ef_percent for heart, _ in draws}) == 3
    spread = [random_case(np.random.default_rng(seed))[0].radius_mm for seed in range(40)]
    assert 20 <= min(spread) < 21.5 and 26.5 < max(spread) <= 28
