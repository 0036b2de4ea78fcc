"""Scaling of images that are arrays already: shorter side to the size, middle cut out."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from nas.training.data.image_data import Images

_BLOCK = 512


def resize_images(images: Images, side: int) -> Images:
    """Return the NCHW images as squares of `side` pixels, of the same type.

    Bilinear with antialiasing, the rule that image files are scaled by as well.
    """
    count, channels, height, width = images.shape
    scale = side / min(height, width)
    high, wide = max(side, round(height * scale)), max(side, round(width * scale))
    top, left = (high - side) // 2, (wide - side) // 2
    result = np.empty((count, channels, side, side), dtype=images.dtype)
    for start in range(0, count, _BLOCK):
        block = torch.from_numpy(np.array(images[start : start + _BLOCK], dtype=np.float32))
        scaled = F.interpolate(block, size=(high, wide), mode="bilinear", antialias=True)
        cut = scaled[:, :, top : top + side, left : left + side].numpy()
        if images.dtype == np.uint8:
            cut = np.clip(np.rint(cut), 0, 255)
        result[start : start + len(block)] = cut
    return result
