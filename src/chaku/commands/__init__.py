"""The commands of some verbs: they parse, call, print."""
