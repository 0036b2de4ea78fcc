"""Data sets: one file per source, one type at the door.

`load_data` turns what the user typed into an `ImageData`; everything after it reads only that.
"""

from nas.training.data.image_data import ImageData
from nas.training.data.load import load_data

__all__ = ["ImageData", "load_data"]
