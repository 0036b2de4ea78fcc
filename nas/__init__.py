"""Neural architecture search over how layers are connected."""

__version__ = "0.1.0"
