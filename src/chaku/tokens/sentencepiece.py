"""Read a SentencePiece `tokenizer.model` (Llama 2's) into the form of `tokenizer.json`."""

from pathlib import Path
from typing import Any

from chaku.errors import ChakuError
from chaku.tokens.tokenizer import llama_definition


def read_sentencepiece(path: Path) -> dict[str, Any]:
    """The definition of the same tokenizer. Needs the `sentencepiece` extra.

    SentencePiece keeps a score a piece, `tokenizer.json` a list of merges: every way to make a piece of two others,
    in the order of the pieces' scores.
    """
    try:
        import sentencepiece
    except ImportError:
        raise ChakuError(f"reading {path} needs sentencepiece: pip install 'chaku[sentencepiece]'") from None
    try:
        model = sentencepiece.SentencePieceProcessor(model_file=str(path))
    except (OSError, RuntimeError) as error:
        raise ChakuError(f"{path} is not a SentencePiece model ({error}); it may be truncated") from error
    pieces = [model.id_to_piece(number) for number in range(model.get_piece_size())]
    vocab = {piece: number for number, piece in enumerate(pieces)}
    special = {piece: number for piece, number in vocab.items() if model.is_control(number) or model.is_unknown(number)}
    ranked: list[tuple[float, int, int, list[str]]] = []
    for number, piece in enumerate(pieces):
        if number in special.values() or model.is_byte(number):
            continue
        for cut in range(1, len(piece)):
            left, right = vocab.get(piece[:cut]), vocab.get(piece[cut:])
            if left is not None and right is not None:
                ranked.append((-model.get_score(number), left, right, [piece[:cut], piece[cut:]]))
    ranked.sort(key=lambda merge: merge[:3])
    return llama_definition(vocab, [merge[3] for merge in ranked], special)
