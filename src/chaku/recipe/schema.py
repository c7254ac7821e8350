"""What a recipe file may say. Plain dataclasses: reading a recipe imports no torch."""

from dataclasses import dataclass, field
from typing import Literal

from chaku.corpus.sources import Source
from chaku.evals.config import EvalsConfig
from chaku.instruct.config import InstructConfig
from chaku.model.config import LoraConfig
from chaku.settings import setting
from chaku.sql.training.config import ShopConfig
from chaku.tokens.config import InfillingConfig
from chaku.training.config import DpoConfig, TrainingConfig

BASE_MODEL = "model"  # in evals.stages: the checkpoint of model.path, before any stage


@dataclass(frozen=True)
class BudgetConfig:
    """Wall-clock minutes for all training stages together; the token budgets follow from the measured speed."""

    minutes: float = setting(above=0)


@dataclass(frozen=True)
class CorpusConfig:
    """Where documents come from. `max_bytes` caps a kind ("code", "prose", ...) or a language."""

    sources: tuple[Source, ...]
    heldout_fraction: float = setting(0.02, at_least=0, below=1)
    max_bytes: dict[str, int] = field(default_factory=dict)
    num_workers: int = setting(2, at_least=1, changes_results=False)


@dataclass(frozen=True)
class TokenizerConfig:
    """Train a tokenizer (`vocab_size`, on `train_bytes` of the corpus), or load `path`: a directory or tokenizer.model.

    With `model.path` the tokenizer is the model's own unless `path` names another. `vocab_size` None is Code Llama's,
    32,016.
    """

    vocab_size: int | None = setting(None, at_least=1)
    train_bytes: int = setting(20_000_000, at_least=1)
    path: str | None = None


@dataclass(frozen=True)
class ModelConfig:
    """The base model: a preset's shape with random weights, or a checkpoint directory to load."""

    preset: str | None = None
    path: str | None = None


@dataclass(frozen=True)
class DocumentSet:
    """A selection of the corpus by kind and language; None takes all."""

    kinds: tuple[str, ...] | None = None
    languages: tuple[str, ...] | None = None


@dataclass(frozen=True)
class ConversationSet:
    """Conversations: files (a path, a folder, a glob) or a Hub data set (`subset`: its configuration).

    `template`: llama2, codellama-70b, chatml or a Jinja file; None is the model's own.
    """

    conversations: str
    template: str | None = None
    subset: str | None = None


@dataclass(frozen=True)
class PreferenceSet:
    """Pairs of a better and a worse reply to one prompt; `template` and `subset` as in `ConversationSet`."""

    preferences: str
    template: str | None = None
    subset: str | None = None


@dataclass(frozen=True)
class InstructSet:
    """What [instruct] writes while the run goes on: `sft`, `preferences` (pairs), or an arm of the rehearsal."""

    instruct: str
    template: str | None = None


@dataclass(frozen=True)
class ShopSet:
    """The training questions about the shop of [shop], with their queries."""

    shop: Literal["train"]
    template: str | None = None


ReplySet = ConversationSet | PreferenceSet | InstructSet | ShopSet  # these teach replies in a chat
Set = DocumentSet | ReplySet


def is_pairs(chosen: Set) -> bool:
    """Whether a set holds pairs of replies, for DPO."""
    return isinstance(chosen, PreferenceSet) or (isinstance(chosen, InstructSet) and chosen.instruct == "preferences")


@dataclass(frozen=True)
class StageConfig:
    """One training stage. Without a parent it starts from the recipe's model.

    `mixture` gives each set's share of the tokens. `rope_theta` and `rope_scaling_factor`, when given, replace the
    parent's. `infill_sets` limits infilling to these sets (None: all of the mixture). `lora` trains an adapter, which
    the stage keeps and merges; `base_quantization` holds the frozen base meanwhile in 8 bits or in 4 ("nf4": QLoRA).
    With conversations in the mixture the loss is on the assistant's tokens alone; `dpo` trains on pairs.
    """

    mixture: dict[str, float]
    training: TrainingConfig
    sequence_length: int = setting(at_least=2)
    parent: str | None = None
    infilling: InfillingConfig | None = None
    infill_sets: tuple[str, ...] | None = None
    rope_theta: float | None = setting(None, above=0)
    rope_scaling_factor: float | None = setting(None, above=0)
    lora: LoraConfig | None = None
    dpo: DpoConfig | None = None
    base_quantization: Literal["int8", "nf4"] | None = None
    seed: int | None = None


@dataclass(frozen=True)
class Recipe:
    """A whole run. See docs/recipes.md for the file, and recipes/ for examples."""

    name: str
    model: ModelConfig
    sets: dict[str, Set]
    stages: dict[str, StageConfig]
    corpus: CorpusConfig = field(default_factory=lambda: CorpusConfig(sources=()))
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    evals: EvalsConfig = field(default_factory=EvalsConfig)
    instruct: InstructConfig | None = None
    shop: ShopConfig | None = None
    budget: BudgetConfig | None = None
    seed: int = 1
    num_threads: int | None = setting(None, at_least=1, changes_results=False)

    def reply_sets(self, stage: StageConfig) -> dict[str, ReplySet]:
        """The sets of a stage's mixture that are not documents, by name."""
        return {name: chosen for name in stage.mixture if not isinstance(chosen := self.sets[name], DocumentSet)}
