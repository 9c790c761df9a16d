"""A forward pass in bfloat16 where the processor is faster at it: GPUs since Ampere, CPUs with AMX or AVX512-BF16."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from monai.inferers import SimpleInferer
from torch import Tensor

PRECISIONS = ("float32", "bfloat16", "mixed")


def default_precision() -> str:
    """Return "mixed" where there is a GPU, else "float32"."""
    return "mixed" if torch.cuda.is_available() else "float32"


class PrecisionInferer(SimpleInferer):
    """Calls the network under autocast to bfloat16 if that is wanted, and gives its answer back in float32.

    MONAI's `amp` means CUDA; this works on a CPU too. bfloat16 has the range of float32, so no loss is scaled. Weights,
    loss and optimizer stay in float32.

    Args:
        precision: "bfloat16", or "float32"; "mixed" is left to the engine, whose `amp` it must turn on.

    Raises:
        ValueError: for another `precision`, or for "mixed" where there is no GPU.
    """

    def __init__(self, precision: str = "float32") -> None:
        super().__init__()
        if precision not in PRECISIONS:
            raise ValueError(f"precision: expected one of {', '.join(PRECISIONS)}, found {precision!r}")
        if precision == "mixed" and not torch.cuda.is_available():
            raise ValueError("precision: expected bfloat16 or float32 without a GPU, found 'mixed', which needs one")
        self.bfloat16 = precision == "bfloat16"

    def __call__(self, inputs: Tensor, network: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Return the network's answer: a tensor, or tensors in a list, tuple or dictionary.

        Args:
            inputs: batch, on the network's device.
            network: called with `inputs`.
            args, kwargs: for the network.
        """
        if not self.bfloat16:
            return _in_float32(network(inputs, *args, **kwargs))
        with torch.autocast(inputs.device.type, torch.bfloat16):
            answer = network(inputs, *args, **kwargs)
        return _in_float32(answer)


def _in_float32(answer: Any) -> Any:
    if isinstance(answer, Tensor):
        return answer.float() if answer.dtype in (torch.bfloat16, torch.float16) else answer
    if isinstance(answer, Mapping):
        return {key: _in_float32(value) for key, value in answer.items()}
    return type(answer)(_in_float32(value) for value in answer) if isinstance(answer, (list, tuple)) else answer
