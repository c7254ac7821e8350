"""How a repository is written as tokens: its name, then every file after its path, as the model's family does."""

from dataclasses import dataclass
from functools import lru_cache

from chaku.tokens.tokenizer import Tokenizer

# The tokens before a repository's name and before a file: Qwen2.5-Coder's technical report, section 3.2; StarCoder2's
# paper, section 5.1.
TOKENS = (("<|repo_name|>", "<|file_sep|>"), ("<repo_name>", "<file_sep>"))
# The sign before a path without such tokens, as DeepSeek-Coder's `#path` (its paper, 2.2), in the file's own comments.
_SLASHES = frozenset(
    ("C", "C++", "C#", "D", "Dart", "Go", "Java", "JavaScript", "Kotlin", "Objective-C", "PHP", "Rust", "Scala")
) | frozenset(("Swift", "TSX", "TypeScript", "Zig"))
_DASHES = frozenset(("Ada", "Haskell", "Lua", "SQL"))
_MARKUP = frozenset(("HTML", "Markdown", "SVG", "Vue", "XML"))


@lru_cache(4)
def repository_tokens(tokenizer: Tokenizer) -> tuple[int, int] | None:
    """The ids of the tokens before a repository's name and before a file; None for a vocabulary without them."""
    pieces = {piece: number for number, piece in enumerate(tokenizer.pieces)}
    return next(((pieces[name], pieces[file]) for name, file in TOKENS if {name, file} <= pieces.keys()), None)


def path_comment(path: str, language: str) -> str:
    """A line with a file's path, as a comment of its language; `#` where the sign of its comments is not known."""
    if language in _MARKUP:
        return f"<!-- {path} -->\n"
    sign = "//" if language in _SLASHES else "--" if language in _DASHES else "#"
    return f"{sign} {path}\n"


@dataclass(frozen=True)
class RepositoryFormat:
    """The ids before and between the files of a repository.

    With the family's tokens: REPO_NAME name, and FILE_SEP path before every file, each with a line break. Without
    them: a comment with the path before every file.
    """

    tokenizer: Tokenizer

    @property
    def has_tokens(self) -> bool:
        """Whether a token of the vocabulary stands before every file."""
        return repository_tokens(self.tokenizer) is not None

    def opening(self, name: str) -> list[int]:
        """The ids before the first file; none without the family's tokens, or without a name."""
        found = repository_tokens(self.tokenizer)
        return [found[0], *self.tokenizer.encode(f"{name}\n")] if found and name else []

    def before_file(self, path: str, language: str, *, begins_text: bool) -> list[int]:
        """The ids before a file's text. `begins_text`: nothing but BOS stands before them."""
        found = repository_tokens(self.tokenizer)
        if found:
            return [found[1], *self.tokenizer.encode(f"{path}\n")]
        comment = path_comment(path, language)
        return self.tokenizer.encode(comment) if begins_text else self.tokenizer.encode_infilling(comment)
