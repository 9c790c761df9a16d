import json

import pytest
import torch
from ignite.engine import Engine
from monai.data import MetaTensor

from common.adc import draw_lesions, lesion_row, lesion_table
from common.evaluation import Evaluation
from common.files import read_csv
from tests.bundles.harness import root

SPACING = (1.0, 2.0, 5.0)


def volume(case, lesion, called, below):
    """A brain of 10 x 10 x 10 voxels with boxes: the lesion, what the model calls, and where Z < -2."""
    affine = torch.diag(torch.tensor([*SPACING, 1.0], dtype=torch.float64))
    maps = torch.zeros(2, 12, 12, 10)
    maps[0, 1:11, 1:11] = 1200.0
    maps[1, 1:11, 1:11] = 0.5
    label, mask = torch.zeros(1, 12, 12, 10), torch.zeros(1, 12, 12, 10, dtype=torch.uint8)
    for target, box, value in ((label[0], lesion, 1), (mask[0], called, 1), (maps[1], below, -3.0)):
        if box:
            target[2 : 2 + box[0], 2 : 2 + box[1], 2 : 2 + box[2]] = value
    item = {"case": case, "maps": MetaTensor(maps, affine=affine), "label": MetaTensor(label, affine=affine)}
    return item, {"pred": MetaTensor(mask, affine=affine)}


CASES = [
    volume("small", (2, 2, 2), (2, 2, 2), (2, 2, 4)),  # 0.8 % of the brain
    volume("middle", (4, 5, 2), (4, 5, 1), (4, 5, 2)),  # 4 %
    volume("large", (8, 8, 4), (8, 8, 4), (4, 8, 4)),  # 25.6 %
    volume("none", None, None, (1, 1, 1)),
]
ORDER = ("small", "middle", "large", "none")


@pytest.fixture
def evaluated(tmp_path):
    def step(engine, case):
        engine.state.batch = [case[0]]
        return [case[1]]

    engine = Engine(step)
    published = json.loads((root("hie_ladp_seg") / "configs" / "evaluate.json").read_text())["published"]
    Evaluation(tmp_path, lesion_row, lesion_table, draw_lesions, published, "LADP").attach(engine)
    engine.run(CASES)
    return tmp_path


def table(folder):
    return {(row["method"], row["metric"]): row for row in json.loads((folder / "evaluation.json").read_text())}


def test_case_scores_by_hand(evaluated):
    rows = {row["case"]: row for row in read_csv(evaluated / "cases.csv")}
    assert [float(rows[case]["dice"]) for case in ORDER] == pytest.approx([1, 2 / 3, 1, 1])
    assert [float(rows[case]["rule_dice"]) for case in ORDER] == pytest.approx([2 / 3, 1, 2 / 3, 0])
    assert [rows[case]["size"] for case in ORDER] == ["<1%", "1-5%", ">5%", "none"]
    assert float(rows["small"]["lesion_ml"]) == pytest.approx(8 * 10 / 1000)
    assert float(rows["middle"]["percent_of_brain"]) == pytest.approx(4.0)
    assert float(rows["middle"]["predicted_ml"]) == pytest.approx(20 * 10 / 1000)
    assert float(rows["none"]["nsd"]) == 1 and float(rows["none"]["rule_nsd"]) == 0


def test_table_has_model_and_rule_by_size_and_their_paired_difference(evaluated):
    rows = table(evaluated)
    assert rows["LADP", "Dice"]["value"] == pytest.approx((1 + 2 / 3 + 1 + 1) / 4, abs=1e-6)
    assert rows["rule Z < -2", "Dice"]["value"] == pytest.approx((2 / 3 + 1 + 2 / 3 + 0) / 4, abs=1e-6)
    assert rows["LADP", "Dice 1-5%"]["value"] == pytest.approx(2 / 3, abs=1e-6)
    assert rows["LADP", "Dice >5%"]["cases"] == 1
    assert rows["LADP - rule, paired", "Dice"]["value"] == pytest.approx(1 / 3, abs=1e-6)
    assert rows["LADP - rule, paired", "Dice"]["cases"] == 4
    assert rows["LADP", "Dice"]["published"] == 0.5934 and rows["rule Z < -2", "Dice"]["published"] == 0.5828


def test_undefined_surface_distance_is_left_out_and_counted(evaluated):
    rows = table(evaluated)
    assert rows["LADP", "MASD (mm)"]["cases"] == 4  # both empty counts as 0
    assert rows["rule Z < -2", "MASD (mm)"]["cases"] == 3
    assert rows["LADP - rule, paired", "MASD (mm)"]["cases"] == 3
    assert (evaluated / "cases.png").stat().st_size > 5000
