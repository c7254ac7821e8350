"""What the model is given to read: a text to complete, the two sides of a hole, or a conversation."""

from collections.abc import Sequence
from dataclasses import dataclass

from chaku.console import warn
from chaku.errors import ChakuError
from chaku.tokens.chat import Chat, Message
from chaku.tokens.infilling import Mode, layout
from chaku.tokens.tokenizer import Tokenizer

FILL_ME = "<FILL_ME>"


@dataclass(frozen=True, slots=True)
class Prompt:
    """Ids to read before writing.

    `stop_ids` end what is written, beside EOS. `begins_text`: no text stands before it. `parts_have_places`: the
    beginning may not be cut (an infilling prompt). `tokens_cut`: tokens that were left out already.
    """

    ids: tuple[int, ...]
    stop_ids: frozenset[int] = frozenset()
    begins_text: bool = False
    parts_have_places: bool = False
    tokens_cut: int = 0


def complete(tokenizer: Tokenizer, text: str, max_tokens: int | None = None) -> Prompt:
    """BOS, where the vocabulary has one, and the text. What is spelt like a special token in it stays text.

    An empty text without BOS begins as in training, after the end of another. Of a text of more than `max_tokens`
    tokens, the end is kept.
    """
    ids = tokenizer.encode(text)
    kept = ids if max_tokens is None else ids[max(len(ids) - max_tokens, 0) :]
    prompt = (*tokenizer.begin, *kept) or (tokenizer.bos_id,)
    return Prompt(prompt, begins_text=prompt == (tokenizer.bos_id,), tokens_cut=len(ids) - len(kept))


def infill(
    tokenizer: Tokenizer,
    prefix: str,
    suffix: str,
    mode: Mode | None = None,
    max_length: int | None = None,
    header: Sequence[int] = (),
) -> Prompt:
    """The infilling prompt, in `mode` (default: PSM where the tokenizer's family has it).

    Code Llama's (Meta's `infilling_prompt_tokens`), and with their own tokens StarCoder's, Qwen's and DeepSeek-Coder's:
    PSM: BOS PRE enc(prefix) SUF enc_inf(suffix) MID. SPM: BOS PRE SUF enc_inf(suffix) MID enc(prefix).
    Codestral's: BOS SUF enc_inf(suffix) PRE enc(prefix). BOS stands where `complete` has it.
    `header`: what stands after BOS and before the prompt (`repository_header`), which `max_length` does not count.
    Over `max_length` tokens, the parts furthest from the hole are left out, and that is said: the suffix keeps a third
    of the room, or what the prefix leaves. Raises ChakuError for a tokenizer without infilling tokens, or for a mode
    that its family does not have.
    """
    tokens = layout(tokenizer, mode)
    mode = mode or tokens.modes[0]
    before, after = tokenizer.encode(prefix), tokenizer.encode_infilling(suffix)
    around = len(tokenizer.begin) + len(tokens.arrange(mode, before, after)) - 2
    num_tokens = len(before) + len(after)
    if max_length is not None and (over := num_tokens + around - max_length) > 0:
        room = max(max_length - around, 2)
        warn(f"the text is {over} tokens longer than the context: its ends, furthest from the hole, are left out")
        num_after = min(len(after), max(room // 3, room - len(before)))
        before, after = before[max(len(before) - (room - num_after), 0) :], after[:num_after]
    ids = [*tokenizer.begin, *header]
    for part in tokens.arrange(mode, before, after):
        ids += [part] if isinstance(part, int) else part
    return Prompt(
        tuple(ids),
        stop_ids=frozenset(tokens.stops),
        begins_text=not before and not header,
        parts_have_places=True,
        tokens_cut=num_tokens - len(before) - len(after),
    )


def answer(chat: Chat, messages: Sequence[Message], opening: str = "") -> Prompt:
    """A conversation up to where the assistant's reply goes on after `opening`. Raises ChakuError as `Chat.prompt`."""
    return Prompt(tuple(chat.prompt(messages, opening)), stop_ids=frozenset({chat.end_id}))


def split_fill_me(text: str) -> tuple[str, str]:
    """The text before and after its one `<FILL_ME>`. Raises ChakuError when there is none, or more than one."""
    parts = text.split(FILL_ME)
    if len(parts) != 2:
        raise ChakuError(f"the text has {len(parts) - 1} {FILL_ME} marks; write exactly one where the hole is")
    return parts[0], parts[1]
