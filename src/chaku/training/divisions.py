"""Whether ranks can share a stage: heads, columns, tokens and sequences must divide among them."""

from chaku.errors import ChakuError
from chaku.model.config import LlamaConfig
from chaku.training.config import ParallelConfig, TrainingConfig
from chaku.training.schedule import batch_rows


def check_stage(
    shape: LlamaConfig, training: TrainingConfig, sequence_length: int, parallel: ParallelConfig, num_ranks: int
) -> None:
    """Raises ChakuError when `num_ranks` ranks cannot share the model, a sequence, or the sequences of a batch."""
    replicate, shard, context, tensor = parallel.sizes(num_ranks)
    check_model(shape, sequence_length, context, tensor)
    rows, parts = batch_rows(training, sequence_length), replicate * shard
    if rows % parts:
        raise ChakuError(
            f"a batch of {rows} sequences does not divide among {parts} ranks; set training.batch_tokens to a multiple "
            f"of {parts * sequence_length}"
        )


def check_model(shape: LlamaConfig, sequence_length: int, context: int, tensor: int) -> None:
    """Raises ChakuError when the ranks cannot share the model's heads and widths, or the tokens of a row."""
    _check("attention heads", shape.num_attention_heads, tensor, "tensor")
    _check("key-value heads", shape.num_key_value_heads, tensor, "tensor")
    _check("feed-forward columns", shape.intermediate_size, tensor, "tensor")
    if context > 1:
        _check("tokens of a sequence", sequence_length, 2 * context, "two chunks for each of `context`")
    _check("tokens of a context rank", sequence_length // context, tensor, "tensor")


def _check(what: str, number: int, parts: int, how: str) -> None:
    if number % parts:
        raise ChakuError(f"{number} {what} cannot be divided among {parts} ranks ({how}); choose another number")
