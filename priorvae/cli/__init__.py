"""The command line: one file per command, each a thin twin of an importable function."""
