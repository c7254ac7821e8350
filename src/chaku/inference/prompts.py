"""What the model is given to read: a text to complete, or the two sides of a hole."""

from chaku.console import say
from chaku.errors import ChakuError
from chaku.tokens.infilling import Mode, sentinels
from chaku.tokens.tokenizer import Tokenizer

FILL_ME = "<FILL_ME>"


def complete(tokenizer: Tokenizer, text: str) -> list[int]:
    """BOS and the text. What is spelt like a special token in it stays text."""
    return [tokenizer.bos_id, *tokenizer.encode(text)]


def infill(
    tokenizer: Tokenizer, prefix: str, suffix: str, mode: Mode = "psm", max_length: int | None = None
) -> list[int]:
    """The infilling prompt (Meta's `infilling_prompt_tokens`).

    PSM: BOS PRE enc(prefix) SUF enc_inf(suffix) MID. SPM: BOS PRE SUF enc_inf(suffix) MID enc(prefix).
    Over `max_length` tokens, the parts furthest from the hole are left out, and that is said: the suffix keeps a third
    of the room, or what the prefix leaves. Raises ChakuError for a tokenizer without infilling tokens.
    """
    pre, suf, mid, _ = sentinels(tokenizer)
    before, after = tokenizer.encode(prefix), tokenizer.encode_infilling(suffix)
    if max_length is not None and (over := len(before) + len(after) + 4 - max_length) > 0:
        room = max(max_length - 4, 2)
        say(f"the text is {over} tokens longer than the context: its ends, furthest from the hole, are left out")
        num_after = min(len(after), max(room // 3, room - len(before)))
        before, after = before[max(len(before) - (room - num_after), 0) :], after[:num_after]
    if mode == "spm":
        return [tokenizer.bos_id, pre, suf, *after, mid, *before]
    return [tokenizer.bos_id, pre, *before, suf, *after, mid]


def split_fill_me(text: str) -> tuple[str, str]:
    """The text before and after its one `<FILL_ME>`. Raises ChakuError when there is none, or more than one."""
    parts = text.split(FILL_ME)
    if len(parts) != 2:
        raise ChakuError(f"the text has {len(parts) - 1} {FILL_ME} marks; write exactly one where the hole is")
    return parts[0], parts[1]
