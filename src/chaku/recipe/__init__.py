"""The recipe file: what it may say (schema), reading it (load, tables), what fits together (check), the tree of stages
(family)."""
