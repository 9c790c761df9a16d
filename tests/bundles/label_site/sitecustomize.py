"""Lets torchvision import beside a torch without its compiled operators; on the path of these tests' servers only.

PyPI's torchvision is built for PyPI's torch. Beside a CPU build its operators are missing, and its import ends at the
first one that it wants to describe. MONAI Label imports torchvision and calls none of them here.
"""

import importlib.abc
import sys


class _DefinesOperatorsFirst(importlib.abc.MetaPathFinder):
    def find_spec(self, fullname, path, target=None):
        if fullname == "torchvision":
            sys.meta_path.remove(self)
            sys.modules["torchvision_operators"] = self
            import torch

            library = torch.library.Library("torchvision", "DEF")
            for name in ("nms", "qnms"):
                library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            self.kept = library  # its definitions end with it
        return None


sys.meta_path.insert(0, _DefinesOperatorsFirst())
