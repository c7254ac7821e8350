"""The recipe file: its keys (schema), reading (load, tables), checks (check), and the tree of stages (family)."""
