"""The command line: one module per command, loaded when it runs; see `nas.cli.main`."""
