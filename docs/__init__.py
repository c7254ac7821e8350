"""The documentation. `generate/` makes the pages of the site that come from the code."""
