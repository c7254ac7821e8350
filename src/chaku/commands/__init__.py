"""The command line, one file a group of verbs: parse, call, print; no logic."""
