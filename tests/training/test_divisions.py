"""A stage whose sizes do not divide among the ranks is refused before anything is loaded."""

import dataclasses

import pytest

from chaku import ChakuError
from chaku.model.config import PRESETS
from chaku.training.config import ParallelConfig, TrainingConfig
from chaku.training.divisions import check_stage

TRAINING = TrainingConfig(batch_tokens=8 * 64)


@pytest.mark.parametrize(
    ("parallel", "num_ranks", "sequence_length", "words"),
    [
        (ParallelConfig(), 8, 64, None),
        (ParallelConfig(), 1, 63, None),
        (ParallelConfig(), 3, 64, r"a batch of 8 sequences .* 3 ranks; set training.batch_tokens to a multiple of 192"),
        (ParallelConfig(tensor=4), 4, 64, "2 key-value heads cannot be divided among 4 ranks"),
        (ParallelConfig(context=3), 3, 64, "64 tokens of a sequence cannot be divided among 6 ranks"),
        (ParallelConfig(shard=2), 8, 64, "is 2 ranks, but torchrun started 8"),
    ],
)
def test_sizes_that_do_not_divide_are_named(parallel, num_ranks, sequence_length, words):
    training = dataclasses.replace(TRAINING, batch_tokens=8 * sequence_length)
    if words is None:
        check_stage(PRESETS["tiny"], training, sequence_length, parallel, num_ranks)
    else:
        with pytest.raises(ChakuError, match=words):
            check_stage(PRESETS["tiny"], training, sequence_length, parallel, num_ranks)
