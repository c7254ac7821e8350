"""What stands before a file in a prompt with its repository: the repository's name and the file's path."""

from chaku.errors import ChakuError
from chaku.tokens.tokenizer import Tokenizer

# Qwen2.5-Coder's technical report, section 3.2; StarCoder2's paper, section 5.1.
TOKENS = (("<|repo_name|>", "<|file_sep|>"), ("<repo_name>", "<file_sep>"))


def repository_header(tokenizer: Tokenizer, repository: str, path: str) -> list[int]:
    """The ids of `REPO_NAME repository, FILE_SEP path`, each on a line, without BOS.

    Raises ChakuError for a vocabulary without such tokens.
    """
    pieces = {piece: number for number, piece in enumerate(tokenizer.pieces)}
    found = next((pair for pair in TOKENS if pieces.keys() >= set(pair)), None)
    if found is None:
        names = " nor ".join(" and ".join(pair) for pair in TOKENS)
        raise ChakuError(
            f"the vocabulary has neither {names}: the model does not know repositories; choose another form"
        )
    name, separator = (pieces[token] for token in found)
    return [name, *tokenizer.encode(f"{repository}\n"), separator, *tokenizer.encode(f"{path}\n")]
