"""Torch modules of architectures; import the files by name, the package loads no torch."""
