"""Networks that shrink: fewer channels or fewer operations, with the weights they had.

Import the files by name: `width` for channels, `depth` for operations.
"""
