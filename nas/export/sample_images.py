"""Photographs for networks that belong to no data: cut from the two that scikit-learn ships.

Zeros or noise would hide what goes wrong on the smooth surfaces and edges of a real image.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from torch.nn import functional as F

from nas.export.parcel import RealImages
from nas.topology.layers import Shape

COUNT: Final = 16
_PER_PHOTOGRAPH: Final = COUNT // 2


def sample_images(shape: Shape) -> RealImages:
    """Return cuts of photographs in a shape, each channel with mean 0 and deviation 1.

    Args:
        shape: `(channels, height, width)`; more channels than a photograph has repeat its own.
    """
    # scikit-learn takes a second to import; only this source pays for it.
    from sklearn.datasets import load_sample_images

    channels, height, width = shape
    cuts = []
    for photograph in load_sample_images().images:
        pixels = torch.from_numpy(np.array(photograph, dtype=np.float32)).permute(2, 0, 1)
        for number in range(_PER_PHOTOGRAPH):
            side = 64 + 32 * number
            top, left = 20 * number, 40 * number
            cut = pixels[None, :, top : top + side, left : left + side]
            cuts.append(F.interpolate(cut, size=(height, width), mode="bilinear", antialias=True))
    images = torch.cat(cuts)
    if channels == 1:
        images = images.mean(dim=1, keepdim=True)
    else:
        images = images[:, [channel % 3 for channel in range(channels)]]
    mean, deviation = images.mean((0, 2, 3), keepdim=True), images.std((0, 2, 3), keepdim=True)
    found = ((images - mean) / deviation.clamp(min=1e-6)).numpy()
    return RealImages(np.ascontiguousarray(found), None, "cuts of two photographs")
