"""A forward pass in bfloat16 where the processor is faster at it: GPUs since Ampere, CPUs with AMX or AVX512-BF16."""

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from monai.inferers import SimpleInferer
from torch import Tensor, nn

logger = logging.getLogger(__name__)

PRECISIONS = ("float32", "bfloat16", "mixed")


def default_precision() -> str:
    """Return "mixed" where there is a GPU, else "float32"."""
    return "mixed" if torch.cuda.is_available() else "float32"


def fast_precision() -> str:
    """Return "mixed" where there is a GPU, "bfloat16" where the CPU is faster at it, else "float32"."""
    return "mixed" if torch.cuda.is_available() else "bfloat16" if _cpu_has_bfloat16() else "float32"


def without_bfloat16(module: nn.Module, device: str) -> AbstractContextManager[object]:
    """Return a context in which autocast to bfloat16 is off, for the few layers of a network that need more digits.

    Float16, which has them, stays on; so does everything while `module` trains.

    Args:
        module: the network or part of it.
        device: type of the device that it runs on, such as "cpu".
    """
    coarse = torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device) == torch.bfloat16
    return torch.autocast(device, enabled=False) if coarse and not module.training else nullcontext()


def _cpu_has_bfloat16() -> bool:
    return torch.backends.cpu.get_cpu_capability().startswith(("AVX512", "SVE"))


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
        self._is_slow = self.bfloat16 and not _cpu_has_bfloat16()

    def __call__(self, inputs: Tensor, network: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Return the network's answer: a tensor, or tensors in a list, tuple or dictionary.

        Args:
            inputs: batch, on the network's device.
            network: called with `inputs`.
            args, kwargs: for the network.
        """
        if not self.bfloat16:
            return _in_float32(network(inputs, *args, **kwargs))
        if self._is_slow and inputs.device.type == "cpu":
            logger.warning(
                "precision: this processor computes bfloat16 by emulation, 5 to 16 times as slowly as float32; "
                "set --precision float32"
            )
            self._is_slow = False
        with torch.autocast(inputs.device.type, torch.bfloat16):
            answer = network(inputs, *args, **kwargs)
        return _in_float32(answer)


def _in_float32(answer: Any) -> Any:
    if isinstance(answer, Tensor):
        return answer.float() if answer.dtype in (torch.bfloat16, torch.float16) else answer
    if isinstance(answer, Mapping):
        return {key: _in_float32(value) for key, value in answer.items()}
    return type(answer)(_in_float32(value) for value in answer) if isinstance(answer, (list, tuple)) else answer
