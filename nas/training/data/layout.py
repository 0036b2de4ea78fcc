"""Pixel layouts: arrays of images come in as NHW, NHWC or NCHW and leave as NCHW.

The layout is read from the shape only where the shape leaves no doubt. Where it does (an image
3 pixels high with 3 channels), the caller must say it: a wrong guess would train on scrambled
images and nobody would notice.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nas.errors import DataError

LAYOUTS = ("NHW", "NHWC", "NCHW")
_USUAL_CHANNELS = (1, 2, 3, 4)

AnyArray = npt.NDArray[Any]


def find_layout(shape: tuple[int, ...], *, where: str) -> str:
    """Return `NHW`, `NHWC` or `NCHW` for an array of this shape.

    Four-dimensional arrays are told apart by the axis of 1 to 4 channels.

    Raises:
        DataError: If the shape fits none of the layouts, or more than one.
    """
    if len(shape) == 3:
        return "NHW"
    if len(shape) != 4:
        raise DataError(
            f"Images of shape {shape} have {len(shape)} axes; images have 3 (NHW) or 4 (NHWC or "
            "NCHW).",
            where=where,
            fix="Reshape the array; flat vectors of pixels need their height and width back.",
        )
    first, last = shape[1] in _USUAL_CHANNELS, shape[3] in _USUAL_CHANNELS
    if first != last:
        return "NCHW" if first else "NHWC"
    reason = "both" if first else "neither"
    raise DataError(
        f"The layout of images of shape {shape} is not clear: {reason} of axis 1 and axis 3 could "
        "be the channels (1 to 4).",
        where=where,
        fix="Say it: store a text array layout='NCHW' or layout='NHWC' beside the images.",
    )


def to_nchw(images: AnyArray, layout: str, *, where: str) -> AnyArray:
    """Return the images as a contiguous NCHW array; an array that is one already is not copied.

    Raises:
        DataError: If the layout is unknown or does not fit the number of axes.
    """
    if layout not in LAYOUTS:
        raise DataError(
            f"Unknown layout '{layout}'.", where=where, fix=f"Known layouts: {', '.join(LAYOUTS)}."
        )
    if images.ndim != len(layout):
        raise DataError(
            f"Images of shape {images.shape} do not fit the layout {layout}: it has {len(layout)} "
            "axes.",
            where=where,
            fix="Training and test images must have the same layout.",
        )
    if layout == "NHW":
        return images[:, np.newaxis]
    if layout == "NHWC":
        return np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    return images
