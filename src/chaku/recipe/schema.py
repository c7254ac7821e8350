"""The tables and keys of a recipe file, as plain dataclasses. Reading a recipe does not import torch."""

from dataclasses import dataclass, field, fields
from typing import Literal

from chaku.corpus.cleaning.cleaner import Cleaning
from chaku.corpus.near_duplicates.config import NearDuplicatesConfig
from chaku.corpus.reading.sources import Source
from chaku.evals.config import EvalsConfig
from chaku.instruct.config import InstructConfig
from chaku.model.config import LoraConfig
from chaku.settings import setting
from chaku.sql.training.config import ShopConfig
from chaku.tokens.config import InfillingConfig
from chaku.training.config import DpoConfig, ParallelConfig, TrainingConfig
from chaku.training.grpo_config import GrpoConfig

BASE_MODEL = "model"  # in evals.stages: the checkpoint of model.path, before any stage


@dataclass(frozen=True)
class BudgetConfig:
    """Wall-clock minutes for all training stages together; the measured speed turns them into tokens."""

    minutes: float = setting(above=0)


@dataclass(frozen=True)
class CorpusConfig(Cleaning):
    """The sources of documents. `max_bytes` caps the bytes of a kind ("code", "prose", ...) or of a language.

    The keys of `Cleaning` say what happens to each document.
    """

    sources: tuple[Source, ...]
    heldout_fraction: float = setting(0.02, at_least=0, below=1)
    max_bytes: dict[str, int] = field(default_factory=dict)
    num_workers: int = setting(2, at_least=1, changes_results=False)
    near_duplicates: NearDuplicatesConfig | None = setting(None, added_later=True)  # noqa: RUF009

    def cleaning(self) -> Cleaning:
        """The rules for single documents alone, which every worker gets."""
        return Cleaning(**{field.name: getattr(self, field.name) for field in fields(Cleaning)})


@dataclass(frozen=True)
class TokenizerConfig:
    """Train a tokenizer of `vocab_size` on `train_bytes` bytes of the corpus, or load `path`.

    `path`: a directory or a tokenizer.model; the default with `model.path` is the model's tokenizer. The default of
    `vocab_size` is Code Llama's 32,016.
    """

    vocab_size: int | None = setting(None, at_least=1)
    train_bytes: int = setting(20_000_000, at_least=1)
    path: str | None = None


@dataclass(frozen=True)
class ModelConfig:
    """The base model: a `preset` with random weights, or the checkpoint directory `path`."""

    preset: str | None = None
    path: str | None = None


@dataclass(frozen=True)
class DocumentSet:
    """A selection of the corpus by kind and language; None selects all.

    `repositories`: join the files of a repository into documents, each file after the files that it imports.
    """

    kinds: tuple[str, ...] | None = None
    languages: tuple[str, ...] | None = None
    repositories: bool = setting(False, added_later=True)


@dataclass(frozen=True)
class ConversationSet:
    """Conversations: files (a path, a folder, a glob) or a Hub data set (`subset`: its configuration).

    `template`: llama2, codellama-70b, chatml or a Jinja file; the default is the model's template.
    `heldout_fraction`: of the rows, never trained on; their loss is logged. The default is 0, because sets of
    conversations are often small and every row counts, and because a set that was trained on stays as it was.
    """

    conversations: str
    template: str | None = None
    subset: str | None = None
    heldout_fraction: float = setting(0.0, at_least=0, below=1, added_later=True)


@dataclass(frozen=True)
class PreferenceSet:
    """Pairs of a better and a worse reply to one prompt; the other keys as in `ConversationSet`."""

    preferences: str
    template: str | None = None
    subset: str | None = None
    heldout_fraction: float = setting(0.0, at_least=0, below=1, added_later=True)


@dataclass(frozen=True)
class InstructSet:
    """Data that [instruct] makes during the run: `sft`, `preferences` (pairs), or an arm of the rehearsal.

    `heldout_fraction`: as in `ConversationSet`.
    """

    instruct: str
    template: str | None = None
    heldout_fraction: float = setting(0.0, at_least=0, below=1, added_later=True)


@dataclass(frozen=True)
class ShopSet:
    """The training questions about the database of [shop], with their queries."""

    shop: Literal["train"]
    template: str | None = None


ReplySet = ConversationSet | PreferenceSet | InstructSet | ShopSet  # sets that train on chat replies
Set = DocumentSet | ReplySet


def is_pairs(chosen: Set) -> bool:
    """Whether a set holds pairs of replies, for DPO."""
    return isinstance(chosen, PreferenceSet) or (isinstance(chosen, InstructSet) and chosen.instruct == "preferences")


_ALL_SHARD = ParallelConfig()


@dataclass(frozen=True)
class StageConfig:
    """One training stage. Without a `parent`, it starts from the recipe's model.

    `mixture`: the weight of each set in the tokens. `rope_theta`, `rope_scaling_factor`: replace the parent's values.
    `infill_sets`: the sets for infilling (None: all sets of the mixture). `lora`: train an adapter, which the stage
    saves and merges. `base_quantization`: hold the frozen base model in 8 bits or 4 bits ("nf4": QLoRA) during
    training. Conversations have a loss on the assistant's tokens only. `dpo`: train on preference pairs. `grpo`: train
    on rewarded samples; the rows of the sets are prompts, and say how replies are judged. `parallel`: the layout over
    the ranks that torchrun starts.
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
    grpo: GrpoConfig | None = setting(None, added_later=True)  # noqa: RUF009
    base_quantization: Literal["int8", "nf4"] | None = None
    parallel: ParallelConfig = setting(_ALL_SHARD, changes_results=False)  # noqa: RUF009
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

    def joins_repositories(self, stage: StageConfig) -> bool:
        """Whether a set of the stage's mixture has documents of whole repositories."""
        chosen = (self.sets[name] for name in stage.mixture)
        return any(isinstance(part, DocumentSet) and part.repositories for part in chosen)

    def reply_sets(self, stage: StageConfig) -> dict[str, ReplySet]:
        """The sets of a stage's mixture that train on chat replies, by name."""
        return {name: chosen for name in stage.mixture if not isinstance(chosen := self.sets[name], DocumentSet)}
