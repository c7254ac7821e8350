"""The ids of a commit's document: StarCoder's tokens before its parts where the vocabulary has them, else its text."""

from functools import lru_cache

from chaku.documents import COMMIT, COMMIT_MARKS, Document, split_commit
from chaku.tokens.tokenizer import Tokenizer


def encode_document(tokenizer: Tokenizer, document: Document) -> list[int]:
    """The ids of a document of any kind, without BOS and EOS."""
    marks = commit_tokens(tokenizer) if document.kind == COMMIT else ()
    parts = split_commit(document.text) if marks else []
    if not parts:
        return tokenizer.encode(document.text)
    return [number for mark, part in zip(marks, parts, strict=True) for number in (mark, *tokenizer.encode(part))]


@lru_cache(4)
def commit_tokens(tokenizer: Tokenizer) -> tuple[int, ...]:
    """The ids of `<commit_before>`, `<commit_msg>` and `<commit_after>`; empty for a vocabulary without them."""
    pieces = {piece: number for number, piece in enumerate(tokenizer.pieces)}
    return tuple(pieces[mark] for mark in COMMIT_MARKS) if set(COMMIT_MARKS) <= pieces.keys() else ()
