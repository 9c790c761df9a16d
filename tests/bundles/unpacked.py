"""What an unpacked bundle must do; run as a script, it asks all of them in one process that has no other `common`."""

import json
import sys
from pathlib import Path

import monai.bundle
import torch
from monai.bundle import ConfigWorkflow


def check(root, data, output, settings):
    """Load the bundle, infer with what it ships, train it for one epoch: each with the code in its own folder."""
    sys.path.append(str(root))
    network = monai.bundle.load(root.name, bundle_dir=root.parent, workflow_type="inference", device="cpu")
    assert_carried(network, root)
    shipped = torch.load(root / "models" / "model.pt", weights_only=True)
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, shipped[name].to(value.dtype), rtol=0, atol=0)

    inference = workflow(root, "inference.json", "infer", dataset_dir=str(data), output_dir=str(output / "inference"))
    inference.initialize()
    inference.run()
    assert type(inference.network_def) is type(network)
    assert (output / "inference" / "predictions.csv").is_file()
    assert not (output / "inference" / "failed.csv").exists()

    folders = {"dataset_dir": str(data), "model_dir": str(output / "models"), "output_dir": str(output / "training")}
    training = workflow(root, "train.json", "train", **folders, **settings)
    training.initialize()
    training.run()
    assert_carried(training.network_def, root)
    trained = torch.load(output / "models" / "model.pt", weights_only=True)
    assert trained.keys() == shipped.keys()


def workflow(root, config, workflow_type, **settings):
    return ConfigWorkflow(
        config_file=str(root / "configs" / config), workflow_type=workflow_type, logging_file=False, **settings
    )


def assert_carried(network, root):
    module = sys.modules[type(network).__module__]
    assert module.__name__.startswith(f"{root.name}_common.v"), module.__name__
    assert Path(module.__file__).resolve().is_relative_to(Path(root).resolve()), module.__file__


if __name__ == "__main__":
    for folder, data, output, settings in json.loads(sys.argv[1]):
        check(Path(folder), Path(data), Path(output), settings)
    assert "common" not in sys.modules
    for folder, *_ in json.loads(sys.argv[1]):
        sys.stdout.write(f"{Path(folder).name} works\n")
