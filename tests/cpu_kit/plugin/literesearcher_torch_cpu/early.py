"""Imported by every interpreter of the kit's environment (a .pth file names it): lets torchvision's wheel be imported.

The wheel's native library wants CUDA and does not load beside a PyTorch for CPUs. Then two operators that torchvision
goes on to describe do not exist, which ends its import. They are declared just before; nobody calls them.
"""

import importlib.abc
import sys

_declared = []


class BeforeTorchvision(importlib.abc.MetaPathFinder):
    """Finds nothing: it only sees torchvision being looked for."""

    def find_spec(self, fullname, path=None, target=None):
        """Declare the operators once, where PyTorch has no CUDA."""
        if fullname == "torchvision" and not _declared:
            import torch

            if torch.version.cuda is None:
                library = torch.library.Library("torchvision", "DEF")
                library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
                library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
                _declared.append(library)
        return


sys.meta_path.insert(0, BeforeTorchvision())
