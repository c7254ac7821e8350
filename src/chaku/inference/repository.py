"""The beginning of a prompt with a repository: the repository's name, other files, and the file's path."""

from collections.abc import Sequence

from chaku.console import warn
from chaku.errors import ChakuError
from chaku.tokens.tokenizer import Tokenizer

# The tokens before a repository's name and before a file: Qwen2.5-Coder's technical report, section 3.2; StarCoder2's
# paper, section 5.1.
TOKENS = (("<|repo_name|>", "<|file_sep|>"), ("<repo_name>", "<file_sep>"))


def repository_header(
    tokenizer: Tokenizer,
    repository: str,
    path: str,
    others: Sequence[tuple[str, str]] = (),
    max_length: int | None = None,
) -> list[int]:
    """The ids of a line `REPO_NAME repository` and a line `FILE_SEP path`, without BOS.

    `others`: (path, text) of files of the same repository, placed before the line of `path`. To stay within
    `max_length` tokens, leaves out the first files of `others`, with a warning. Raises ChakuError for a vocabulary
    without these special tokens.
    """
    pieces = {piece: number for number, piece in enumerate(tokenizer.pieces)}
    found = next((pair for pair in TOKENS if pieces.keys() >= set(pair)), None)
    if found is None:
        names = " nor ".join(" and ".join(pair) for pair in TOKENS)
        raise ChakuError(
            f"the vocabulary has neither {names}: the model cannot read repositories; leave the repository out"
        )
    name, separator = (pieces[token] for token in found)
    begin = [name, *tokenizer.encode(f"{repository}\n")]
    end = [separator, *tokenizer.encode(f"{path}\n")]
    files = [
        [separator, *tokenizer.encode(f"{other}\n{text if text.endswith(chr(10)) else text + chr(10)}")]
        for other, text in others
    ]
    while max_length is not None and files and len(begin) + sum(map(len, files)) + len(end) > max_length:
        warn(f"{others[-len(files)][0]} is left out: the model's context is too small for it")
        files.pop(0)
    return [*begin, *(number for file in files for number in file), *end]
