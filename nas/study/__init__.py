"""Studies: methods times spaces times data times seeds, so that a paper's table is one file.

    config.py     the file, `nas.study/1`; resolve.py checks it
    methods/      where the networks of a row come from, one file per kind
    runner.py     takes a study from its file to its table, resumable
    results.py    what the log says; comparison.py what may be said of it
    tables.py     CSV, LaTeX and Markdown; diagram.py the critical-difference diagram

The modules are imported one by one: reading a study must not load what trains networks.
"""
