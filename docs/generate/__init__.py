"""The pages of the site that are made from the code, each time the site is built. `hook.py` is what MkDocs calls."""
