"""The settings of the shop in a recipe: its table [shop]."""

from dataclasses import dataclass

from chaku.settings import setting


@dataclass(frozen=True)
class ShopConfig:
    """A recipe's [shop]. `num_train`, `num_dev`: questions for training and for scoring.

    `max_tokens`: of a prompt and its answer together. The default has no room for all twelve tables, so a prompt shows
    the tables that its question is about. `chinese`: write some questions in Chinese, for a model with Chinese in its
    pretraining.
    """

    num_train: int = setting(6000, at_least=1)
    num_dev: int = setting(120, at_least=1)
    max_tokens: int = setting(256, at_least=1)
    chinese: bool = True
