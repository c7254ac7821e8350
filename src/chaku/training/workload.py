"""What a stage trains, as the estimates of its memory and its time take it."""

from dataclasses import dataclass

from chaku.model.config import LlamaConfig, LoraConfig
from chaku.model.quantization import Scheme
from chaku.training.config import TrainingConfig
from chaku.training.schedule import batch_rows, micro_rows


@dataclass(frozen=True)
class Workload:
    """A model and how it trains. `scheme`: the quantisation of a frozen base, which is whole on every rank.

    Estimates for GPUs take "auto" precision for bfloat16.
    """

    shape: LlamaConfig
    training: TrainingConfig
    sequence_length: int
    lora: LoraConfig | None = None
    scheme: Scheme | None = None

    @property
    def rows(self) -> int:
        """Sequences of an optimizer step."""
        return max(1, batch_rows(self.training, self.sequence_length))

    def micro_batches(self, num_data: int = 1, num_context: int = 1) -> tuple[int, int]:
        """(rows of a micro-batch, micro-batches of a step) on one of `num_data` data ranks."""
        rows = max(1, self.rows // num_data)
        together = min(rows, micro_rows(self.training, self.sequence_length, num_context))
        return together, -(-rows // together)
