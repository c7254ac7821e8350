"""The recipe file: its keys (schema), reading it (load, tables), checking it (check), and the tree of stages (family)."""
