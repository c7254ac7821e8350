"""The beginning of a prompt with a repository: the repository's name, other files, and the file's path."""

from collections.abc import Sequence
from functools import lru_cache

from chaku.console import warn
from chaku.errors import ChakuError
from chaku.tokens.repository_format import TOKENS, repository_tokens
from chaku.tokens.tokenizer import Tokenizer


def repository_header(
    tokenizer: Tokenizer,
    repository: str,
    path: str,
    others: Sequence[tuple[str, str]] = (),
    max_length: int | None = None,
    quiet: bool = False,
) -> list[int]:
    """The ids of a line `REPO_NAME repository` and a line `FILE_SEP path`, without BOS.

    `others`: (path, text) of files of the same repository, placed before the line of `path`. To stay within
    `max_length` tokens, leaves out the first files of `others`, with a warning (`quiet`: without). Raises ChakuError
    for a vocabulary without these special tokens.
    """
    found = repository_tokens(tokenizer)
    if found is None:
        names = " nor ".join(" and ".join(pair) for pair in TOKENS)
        raise ChakuError(
            f"the vocabulary has neither {names}: the model cannot read repositories; leave the repository out"
        )
    name, separator = found
    begin = [name, *tokenizer.encode(f"{repository}\n")]
    end = [separator, *tokenizer.encode(f"{path}\n")]
    files = [(separator, *_file_ids(tokenizer, other, text)) for other, text in others]
    while max_length is not None and files and len(begin) + sum(map(len, files)) + len(end) > max_length:
        if not quiet:
            warn(f"{others[-len(files)][0]} is left out: the model's context is too small for it")
        files.pop(0)
    return [*begin, *(number for file in files for number in file), *end]


@lru_cache(256)  # an editor sends the same files at every keystroke
def _file_ids(tokenizer: Tokenizer, path: str, text: str) -> tuple[int, ...]:
    return tuple(tokenizer.encode(f"{path}\n{text if text.endswith(chr(10)) else text + chr(10)}"))
