"""`monai.bundle.load`, MONAI's own way to a bundle's network: every tensor comes from model.pt, none stays random."""

import monai
import pytest
import torch

from tests.bundles import harness


# MONAI warns of every config that it loads by name: whose bundle it is, is up to the user.
@pytest.mark.filterwarnings("ignore:parsing config_file:UserWarning")
@pytest.mark.parametrize("workflow_type", ["train", "inference"])
@pytest.mark.parametrize("bundle", harness.BUNDLES)
def test_every_tensor_of_the_loaded_network_is_that_of_model_pt(bundle, workflow_type):
    folder = harness.root(bundle).parent
    state = torch.load(folder / bundle / "models" / "model.pt", map_location="cpu", weights_only=True)
    network = monai.bundle.load(bundle, bundle_dir=str(folder), workflow_type=workflow_type, source="github")
    own = network.cpu().state_dict()
    assert own.keys() == state.keys()
    assert [key for key, value in own.items() if value.shape != state[key].shape] == []
    assert [key for key, value in own.items() if not torch.equal(value, state[key].to(value.dtype))] == []
