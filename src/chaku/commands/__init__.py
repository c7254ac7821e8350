"""The verbs of the command line that have a file of their own; each has `add_commands(verbs, common)`."""
