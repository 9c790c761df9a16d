"""What preprocessing makes of a real file, and which networks fit behind it."""

import pytest
import torch
from monai.bundle import ConfigParser

from tests.bundles.harness import REPOSITORY, overrides, root, workflow

BUNDLE = "cmr_hf_classify"
RIVALS = {
    "ResNet50": {
        "_target_": "monai.networks.nets.resnet50",
        "spatial_dims": 3,
        "n_input_channels": 1,
        "num_classes": 1,
    },
    "DenseNet121": {"_target_": "DenseNet121", "spatial_dims": 3, "in_channels": 1, "out_channels": 1},
}


def test_a_real_dicom_cine_becomes_a_patch_of_the_papers_size(tmp_path):
    sample = REPOSITORY / "tests" / "data" / "sunnybrook_sample"
    settings = overrides(BUNDLE, sample, tmp_path, patch_size=[288, 288], frames=40)
    flow = workflow(BUNDLE, ["inference.json"], "inferring", "infer", **settings)
    flow.initialize()
    patches = [item["image"] for item in flow.dataset]
    assert len(patches) == 2
    for patch in patches:
        assert patch.shape == (1, 288, 288, 40) and patch.dtype == torch.float32
        assert float(patch.mean()) == pytest.approx(0, abs=1e-4)
        assert float(patch.std()) == pytest.approx(1, abs=1e-3)
        ring = patch[0, 0, 0]
        assert torch.equal(ring, ring[:1].expand(40)), "256 pixels of the scanner, padded to 288"


@pytest.mark.parametrize("name", RIVALS)
def test_the_rivals_of_table_iii_are_drop_in_networks_with_group_normalisation(name, tmp_path):
    parser = ConfigParser()
    parser.read_config(str(root(BUNDLE) / "configs" / "train.json"))
    parser["network_def"] = {"_target_": "common.cine.group_normalised", "network": RIVALS[name]}
    network = parser.get_parsed_content("network_def").eval()
    kinds = {type(module).__name__ for module in network.modules()}
    assert "GroupNorm" in kinds and "BatchNorm3d" not in kinds
    with torch.inference_mode():
        assert network(torch.rand(1, 1, 64, 64, 32)).shape == (1, 1)
