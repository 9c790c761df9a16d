"""`--precision` of inference has the effect that it names, in every bundle, with the shipped weights."""

import pytest
import torch
from monai.bundle import ConfigParser

from tests.bundles.harness import BUNDLES, overrides, root, simulate

each_bundle = pytest.mark.parametrize("bundle", BUNDLES)


def answered(bundle, data, work, precision, **more):
    """What the network gives for the first batch, with the types in which its layers computed."""
    parser = ConfigParser()
    parser.read_config(str(root(bundle) / "configs" / "inference.json"))
    folders = {name: value for name, value in overrides(bundle, data, work).items() if name.endswith("_dir")}
    del folders["model_dir"]
    parser.update({"bundle_root": str(root(bundle)), "precision": precision, "device": "cpu", **folders, **more})
    network = parser.get_parsed_content("network_def").eval()
    parser.get_parsed_content("load")
    seen = set()
    for layer in network.modules():
        # A LiteFlowNet takes its convolutions row by row: the chain of them has an output, not each.
        if isinstance(layer, (torch.nn.Conv2d, torch.nn.Conv3d, torch.nn.Linear, torch.nn.Sequential)):
            layer.register_forward_hook(lambda _layer, _inputs, output: seen.add(output.dtype))
    batch = next(iter(parser.get_parsed_content("dataloader")))
    with torch.inference_mode():
        return parser.get_parsed_content("inferer")(batch["image"], network), seen


@each_bundle
def test_bfloat16_is_what_the_network_computes_in_and_the_answer_is_float32(bundle, phantom, tmp_path):
    exact, exactly = answered(bundle, phantom(bundle), tmp_path, "float32")
    rounded, roughly = answered(bundle, phantom(bundle), tmp_path, "bfloat16")
    assert exactly == {torch.float32} and torch.bfloat16 in roughly
    assert rounded.dtype == torch.float32 and rounded.shape == exact.shape
    assert not torch.equal(rounded, exact)
    # bfloat16 has 8 bits of mantissa, so each layer rounds to 0.4 %.
    assert (rounded - exact).square().mean().sqrt() < 0.02 * exact.abs().max()


def test_bfloat16_moves_an_ef_by_less_than_a_tenth_of_a_point(tmp_path):
    data = simulate("echo_coreecho", tmp_path / "data", cases=8, seed=556, size=48, frames=[30, 40], style="clinical")
    exact, _ = answered("echo_coreecho", data, tmp_path, "float32", batch_size=8)
    rounded, _ = answered("echo_coreecho", data, tmp_path, "bfloat16", batch_size=8)
    assert len(exact) == 8
    assert 0 < (rounded - exact).abs().max() < 0.1


@pytest.mark.skipif(torch.cuda.is_available(), reason="mixed precision needs a GPU, and finds one")
@each_bundle
def test_mixed_precision_without_a_gpu_is_refused(bundle, phantom, tmp_path):
    with pytest.raises(Exception, match="Failed to instantiate") as raised:
        answered(bundle, phantom(bundle), tmp_path, "mixed")
    assert "expected bfloat16 or float32 without a GPU" in str(raised.value.__cause__)
