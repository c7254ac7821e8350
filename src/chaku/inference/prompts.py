"""Builds prompts: a text to complete, the two sides of a hole, or a conversation."""

from collections.abc import Sequence
from dataclasses import dataclass

from chaku.console import warn
from chaku.errors import ChakuError
from chaku.tokens.chat import Chat, Message
from chaku.tokens.infilling import Mode, layout
from chaku.tokens.tokenizer import Tokenizer

FILL_ME = "<FILL_ME>"
LINE_TOKENS = 128  # of a line that moves into the middle; a longer one stays in the prefix


@dataclass(frozen=True, slots=True)
class Prompt:
    """The ids that the model reads.

    `stop_ids` end the completion, besides EOS. `begins_text`: the prompt has no text, so the completion begins one.
    `parts_have_places`: an infilling prompt, whose beginning must not be cut. `tokens_cut`: tokens already left out.
    """

    ids: tuple[int, ...]
    stop_ids: frozenset[int] = frozenset()
    begins_text: bool = False
    parts_have_places: bool = False
    tokens_cut: int = 0


def complete(tokenizer: Tokenizer, text: str, max_tokens: int | None = None) -> Prompt:
    """BOS, if the vocabulary has it, and the text. A special token's name in the text stays plain text.

    Where the vocabulary has no BOS, the prompt of an empty text is the token that separates documents in training. A
    text of more than `max_tokens` tokens loses its beginning.
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
    cut_step: int = 1,
    quiet: bool = False,
    line_in_middle: bool = False,
) -> Prompt:
    """The infilling prompt, in `mode` (default: PSM where the tokenizer's family has it).

    Code Llama, as in Meta's `infilling_prompt_tokens`; StarCoder, Qwen and DeepSeek-Coder, with their own tokens:
    PSM: BOS PRE enc(prefix) SUF enc_inf(suffix) MID. SPM: BOS PRE SUF enc_inf(suffix) MID enc(prefix).
    Codestral: BOS SUF enc_inf(suffix) PRE enc(prefix). BOS is left out where `complete` leaves it out.
    `header`: ids between BOS and the prompt (`repository_header`), which `max_length` does not count.
    A text of more than `max_length` tokens loses the parts furthest from the hole, with a warning: the suffix keeps a
    third of the room, or as much as the prefix leaves. The prefix is cut by a multiple of `cut_step` tokens; `quiet`
    leaves the warning out. `line_in_middle`: in PSM, the last line of the prefix begins the middle, from which the
    model goes on. The prefix and the suffix then stay the same while a line is typed, and its end can be healed.
    Raises ChakuError for a tokenizer without infilling tokens, or for a mode that the tokenizer's family does not have.
    """
    tokens = layout(tokenizer, mode)
    mode = mode or tokens.modes[0]
    line: list[int] = []
    if line_in_middle and mode == "psm":
        line_begins = prefix.rfind("\n") + 1
        line = tokenizer.encode_infilling(prefix[line_begins:])
        if len(line) > LINE_TOKENS:
            line = []
        prefix = prefix[:line_begins] if line else prefix
    before, after = tokenizer.encode(prefix), tokenizer.encode_infilling(suffix)
    around = len(tokenizer.begin) + len(tokens.arrange(mode, before, after)) - 2 + len(line)
    num_tokens = len(before) + len(after)
    if max_length is not None and (over := num_tokens + around - max_length) > 0:
        room = max(max_length - around, 2)
        if not quiet:
            warn(f"the text is {over} tokens longer than the context: its ends, furthest from the hole, are left out")
        num_after = min(len(after), max(room // 3, room - len(before)))
        num_cut = -(-max(len(before) - (room - num_after), 0) // cut_step) * cut_step
        before, after = before[num_cut:], after[:num_after]
    ids = [*tokenizer.begin, *header]
    for part in tokens.arrange(mode, before, after):
        ids += [part] if isinstance(part, int) else part
    return Prompt(
        (*ids, *line),
        stop_ids=frozenset(tokens.stops),
        begins_text=not before and not header and not line,
        parts_have_places=True,
        tokens_cut=num_tokens - len(before) - len(after),
    )


def answer(chat: Chat, messages: Sequence[Message], opening: str = "") -> Prompt:
    """A conversation up to the assistant's reply, which begins with `opening`. Raises ChakuError as `Chat.prompt`."""
    return Prompt(tuple(chat.prompt(messages, opening)), stop_ids=frozenset({chat.end_id}))


def split_fill_me(text: str) -> tuple[str, str]:
    """The text before and after `<FILL_ME>`. Raises ChakuError unless the text has exactly one `<FILL_ME>`."""
    parts = text.split(FILL_ME)
    if len(parts) != 2:
        raise ChakuError(f"the text has {len(parts) - 1} {FILL_ME} marks; write exactly one where the hole is")
    return parts[0], parts[1]
