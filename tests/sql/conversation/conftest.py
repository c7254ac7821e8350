"""The shop with its glossary, asked through a session whose model writes what a test says."""

from sql.glossary.conftest import shop_file, shop_rules, shop_schema, shop_words  # noqa: F401
