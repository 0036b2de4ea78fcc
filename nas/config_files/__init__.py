"""Strict reading of configuration: YAML and JSON files and `--set a.b=1` overrides.

A file of a stranger is data and nothing else: no tags, anchors or aliases, no key twice, no
not-a-number, and caps on size, depth and count before anything is built. Each key remembers its
line, so that a wrong setting is reported as `file:line, key a.b` long after the file was read.
YAML is version 1.2: `no` is text and `1e-3` is a number.
"""

from nas.config_files.csv_writing import csv_text, no_formula
from nas.config_files.documents import (
    MAXIMUM_BYTES,
    MAXIMUM_DEPTH,
    MAXIMUM_NODES,
    Document,
    apply_overrides,
    load_document,
    parse_document,
    parse_json,
)
from nas.config_files.validation import validate_document
from nas.config_files.writing import dump_yaml

__all__ = [
    "MAXIMUM_BYTES",
    "MAXIMUM_DEPTH",
    "MAXIMUM_NODES",
    "Document",
    "apply_overrides",
    "csv_text",
    "dump_yaml",
    "load_document",
    "no_formula",
    "parse_document",
    "parse_json",
    "validate_document",
]
