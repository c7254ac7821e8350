"""The shop with a private column, whose cells and name nobody may see."""

from pathlib import Path

from shop_database import make_shop

GLOSSARY = """
[tables.customers.columns.phone]
private = true
synonyms = ["Rufnummer"]

[metrics.buyers]
expression = "count(*)"
table = "customers"
"""
PHONES = """
ALTER TABLE customers ADD COLUMN phone TEXT;
UPDATE customers SET phone = 'MARK-' || name;
"""
SECRETS = ("MARK", "phone", "Rufnummer")


def make_private_shop(folder: Path) -> Path:
    """The shop, and beside it a glossary that keeps `customers.phone` private."""
    (folder / "shop.glossary.toml").write_text(GLOSSARY)
    return make_shop(folder / "shop.sqlite", PHONES)
