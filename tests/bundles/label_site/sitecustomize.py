"""Lets torchvision import beside a torch without its compiled operators; on the path of these tests' servers only.

PyPI's torchvision is built for PyPI's torch. Beside a CPU build its operators are missing, and its import ends at the
first one that it wants to describe. MONAI Label imports torchvision and calls none of them here.
"""

import importlib.abc
import importlib.util
import sys
from pathlib import Path


class _DescribesOperatorsFirst(importlib.abc.MetaPathFinder):
    def find_spec(self, fullname, path, target=None):
        if fullname == "torchvision":
            sys.meta_path.remove(self)
            sys.modules["torchvision_operators"] = self  # the definitions end with their library
            self.library = _missing_operators()
        return None


def _missing_operators():
    import torch

    folder = Path(importlib.util.find_spec("torchvision").origin).parent
    try:
        for compiled in folder.glob("_C.*"):
            torch.ops.load_library(compiled)
    except OSError:
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        return library
    return None


sys.meta_path.insert(0, _DescribesOperatorsFirst())
