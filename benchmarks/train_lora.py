"""LoRA's training step: chaku beside peft with transformers, for `train_cpu.py --lora`.

Two settings. "uniform": full sequences of random tokens, the loss everywhere; every trainer computes the same rows.
"questions": conversations whose loss is on the reply. peft gets them sorted by length, padded to the longest of eight,
as its users have them without a GPU kernel for packed rows; chaku packs them and computes a shared beginning once.
Both sides have the same weights, examples, precision, optimizer and mean loss.
"""

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from chaku.checkpoint.formats import load_model
from chaku.errors import ChakuError
from chaku.model.config import LlamaConfig, LoraConfig
from chaku.model.llama import Llama
from chaku.model.lora import add_lora, lora_layers
from chaku.pipeline.shop import shop_prompt
from chaku.sql.scoring.datasets import read_examples
from chaku.sql.training.config import ShopConfig
from chaku.sql.training.prepare import PrepareSettings, prepare
from chaku.synthetic.shop import write_shop
from chaku.tokens.chat import Chat, ChatRow, Message
from chaku.tokens.chat_store import write_chat_store
from chaku.tokens.load import load_tokenizer
from chaku.tokens.loader import Batch, collate
from chaku.tokens.packed_dataset import ChatSet, PackedDataset
from chaku.tokens.tokenizer import Tokenizer
from chaku.training.config import TrainingConfig
from chaku.training.optimizers import make_optimizer
from chaku.training.step import autocast, optimizer_step, training_step_loss

SETTINGS = ("uniform", "questions")
LORA = LoraConfig(rank=16, alpha=32)
PADDED_ROWS = 8  # examples that peft's side pads to one length: transformers' default batch
SMOLLM2 = LlamaConfig(
    vocab_size=49_152,
    hidden_size=576,
    intermediate_size=1_536,
    num_hidden_layers=30,
    num_attention_heads=9,
    num_key_value_heads=3,
    max_position_embeddings=8_192,
    rope_theta=100_000.0,
    tie_word_embeddings=True,
)


@dataclass(frozen=True)
class Work:
    """One optimizer step's examples, for each side as it wants them. `num_tokens` counts no padding."""

    ours: Batch
    theirs: list[dict[str, Tensor]]
    num_tokens: int
    num_trained: int


def uniform(vocab_size: int, rows: int, sequence_length: int, num_steps: int) -> list[Work]:
    """Steps of full sequences of random tokens."""
    works = []
    for _ in range(num_steps):
        tokens = torch.randint(vocab_size, (rows, sequence_length + 1))  # (rows, seq + 1)
        labels = tokens[:, 1:].contiguous()
        batch = Batch(tokens, torch.zeros_like(tokens), 0, 0)
        padded = [{"input_ids": tokens[:, :-1], "labels": labels, "shift_labels": labels}]
        works.append(Work(batch, padded, labels.numel(), labels.numel()))
    return works


def questions(model: Path, file: Path | None, examples: int, sequence_length: int, num_steps: int) -> list[Work]:
    """Steps of conversations, drawn at random: of the file, else about the shop that chaku makes."""
    tokenizer = load_tokenizer(model)
    chat = Chat(tokenizer)
    with tempfile.TemporaryDirectory() as temporary:
        if file is None:
            write_shop(Path(temporary) / "shop", num_train=2 * examples * num_steps, num_dev=10)
            file = Path(temporary) / "shop.jsonl"
            shop = Path(temporary) / "shop"
            settings = PrepareSettings(shop_prompt(ShopConfig()))
            count = lambda text: len(tokenizer.encode(text))  # noqa: E731
            prepare(read_examples(shop / "train.jsonl"), shop, file, count_tokens=count, settings=settings)
        with file.open(encoding="utf-8") as lines:
            told = [[Message(**message) for message in json.loads(line)["messages"]] for line in lines]
    order = torch.randperm(len(told)).tolist()
    works: list[Work] = []
    while len(works) < num_steps:
        chosen: list[ChatRow] = []
        while len(chosen) < examples:
            if not order:
                raise ChakuError(f"{file} has too few conversations of at most {sequence_length} tokens")
            chosen += [row for row in chat.rows(told[order.pop()]) if len(row.ids) <= sequence_length + 1]
        works.append(
            Work(
                packed(chosen, tokenizer, sequence_length),
                list(padded(chosen)),
                sum(len(row.ids) for row in chosen),
                sum(sum(row.trained) for row in chosen),
            )
        )
    return works


def packed(rows: Sequence[ChatRow], tokenizer: Tokenizer, sequence_length: int) -> Batch:
    """The examples as chaku's loader packs them."""
    with tempfile.TemporaryDirectory() as temporary:
        store = write_chat_store(Path(temporary) / "store", rows)
        dataset = PackedDataset(None, [ChatSet("questions", store, 1.0)], sequence_length, tokenizer, seed=0)
        return collate([(number, dataset.conversations(0, number)) for number in range(len(dataset.plans[0]))])


def padded(rows: Sequence[ChatRow]) -> Iterator[dict[str, Tensor]]:
    """The examples as transformers' users pad them, those of like length together."""
    ordered = sorted(rows, key=lambda row: len(row.ids))
    for start in range(0, len(ordered), PADDED_ROWS):
        part = ordered[start : start + PADDED_ROWS]
        ids = [torch.tensor(row.ids) for row in part]
        labels = [torch.tensor(row.ids).masked_fill(~torch.tensor(row.trained), -100) for row in part]
        pad = nn.utils.rnn.pad_sequence
        yield {
            "input_ids": pad(ids, batch_first=True),
            "attention_mask": pad([torch.ones_like(row) for row in ids], batch_first=True),
            "labels": pad(labels, batch_first=True, padding_value=-100),
        }


def chaku_step(model: Llama, precision: str) -> Callable[[Work], float]:
    """A function that does one optimizer step and returns its loss."""

    def losses(work: Work) -> Iterator[Tensor]:
        batch = work.ours
        yield training_step_loss(model, batch.tokens, batch.document_ids, work.num_trained, trained=batch.trained)

    return _step(model, losses, precision)


def peft_step(model: nn.Module, precision: str) -> Callable[[Work], float]:
    """The same of peft's side, micro-batch by micro-batch."""

    def losses(work: Work) -> Iterator[Tensor]:
        for part in work.theirs:
            yield model(**part, num_items_in_batch=work.num_trained).loss

    return _step(model, losses, precision)


def _step(model: nn.Module, losses: Callable[[Work], Iterator[Tensor]], precision: str) -> Callable[[Work], float]:
    config = TrainingConfig(learning_rate=2e-4)
    optimizer = make_optimizer(model, config)  # type: ignore[arg-type]
    model.train()

    def step(work: Work) -> float:
        total = 0.0
        parts = losses(work)
        while True:
            with autocast(torch.device("cpu"), precision):
                loss = next(parts, None)
            if loss is None:
                break
            loss.backward()
            total += float(loss.detach())
        optimizer_step(model, optimizer, config.learning_rate, config.max_grad_norm)  # type: ignore[arg-type]
        return total

    return step


def both(model: Path | None, transformers_model: Callable[[Llama], Any]) -> tuple[Llama, Any]:
    """The same model with the same LoRA, for chaku and for peft."""
    try:
        import peft
    except ImportError:
        raise ChakuError('peft is not installed; pip install "chaku[dev]"') from None
    torch.manual_seed(0)
    ours = load_model(model, dtype=torch.float32) if model else Llama(SMOLLM2)
    plain = transformers_model(ours)
    add_lora(ours, LORA)
    config = peft.LoraConfig(r=LORA.rank, lora_alpha=int(LORA.alpha), target_modules=list(LORA.targets))
    theirs: Any = peft.get_peft_model(plain, config)
    with torch.no_grad():
        for name, layer in lora_layers(ours):
            theirs.get_submodule(f"base_model.model.{name}.lora_A.default").weight.copy_(layer.lora_A)
    return ours, theirs
