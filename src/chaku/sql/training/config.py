"""The settings of the shop in a recipe."""

from dataclasses import dataclass

from chaku.settings import setting


@dataclass(frozen=True)
class ShopConfig:
    """A recipe's [shop]: how many questions to train on, and to ask. `max_tokens`: of a prompt and its answer.

    The default has no room for all twelve tables: a prompt shows those that the question is about. `chinese`: some
    questions are in Chinese, which suits only a model whose pretraining had Chinese.
    """

    num_train: int = setting(6000, at_least=1)
    num_dev: int = setting(120, at_least=1)
    max_tokens: int = setting(256, at_least=1)
    chinese: bool = True
