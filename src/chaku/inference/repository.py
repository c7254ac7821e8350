"""What stands before a file in a prompt with its repository: the repository's name and the file's path."""

from collections.abc import Sequence

from chaku.console import warn
from chaku.errors import ChakuError
from chaku.tokens.tokenizer import Tokenizer

# Qwen2.5-Coder's technical report, section 3.2; StarCoder2's paper, section 5.1.
TOKENS = (("<|repo_name|>", "<|file_sep|>"), ("<repo_name>", "<file_sep>"))


def repository_header(
    tokenizer: Tokenizer,
    repository: str,
    path: str,
    others: Sequence[tuple[str, str]] = (),
    max_length: int | None = None,
) -> list[int]:
    """The ids of `REPO_NAME repository, FILE_SEP path`, each on a line, without BOS.

    `others`: (path, text) of files of the same repository, which stand before it. Over `max_length` tokens, the first
    of these are left out, and that is said. Raises ChakuError for a vocabulary without such tokens.
    """
    pieces = {piece: number for number, piece in enumerate(tokenizer.pieces)}
    found = next((pair for pair in TOKENS if pieces.keys() >= set(pair)), None)
    if found is None:
        names = " nor ".join(" and ".join(pair) for pair in TOKENS)
        raise ChakuError(
            f"the vocabulary has neither {names}: the model does not know repositories; choose another form"
        )
    name, separator = (pieces[token] for token in found)
    begin = [name, *tokenizer.encode(f"{repository}\n")]
    end = [separator, *tokenizer.encode(f"{path}\n")]
    files = [
        [separator, *tokenizer.encode(f"{other}\n{text if text.endswith(chr(10)) else text + chr(10)}")]
        for other, text in others
    ]
    while max_length is not None and files and len(begin) + sum(map(len, files)) + len(end) > max_length:
        warn(f"{others[-len(files)][0]} is left out: with it, the context of the model is too small")
        files.pop(0)
    return [*begin, *(number for file in files for number in file), *end]
