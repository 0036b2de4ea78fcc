"""Runtimes: what executes the network that ships, one file each.

A runtime turns a network into one call on fixed images, which is what latency times, and into a
function from images to logits, which is what the error of a quantised network is measured with.
Importing the registry loads neither torch nor ONNX Runtime.
"""

from nas.objectives.runtimes.base import RUNTIMES, AbstractRuntime, PreparedNetwork, prepare

__all__ = ["RUNTIMES", "AbstractRuntime", "PreparedNetwork", "prepare"]
