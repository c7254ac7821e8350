"""Read SentencePiece's `tokenizer.model` (Llama 2, Mistral) into the form of `tokenizer.json`, and write it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chaku.errors import ChakuError
from chaku.files import atomic_file
from chaku.tokens.definition import llama_definition, merge_parts
from chaku.tokens.tokenizer import Tokenizer

# Field numbers and values of sentencepiece_model.proto, which the library gives no access to.
_PIECES, _TRAINER, _NORMALIZER = 1, 2, 3
_PIECE_TYPE, _NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED, _BYTE = 3, 1, 2, 3, 4, 6
_MODEL_TYPE, _BPE = 3, 2
BYTES = frozenset(f"<0x{byte:02X}>" for byte in range(256))
_ADD_DUMMY_PREFIX = 3


def read_sentencepiece(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """(content of an equal `tokenizer.json`, the names of BOS and EOS as in `tokenizer_config.json`).

    Control pieces become special tokens; user-defined pieces become added tokens. Raises ChakuError without the
    `sentencepiece` extra, and for a file that is not a SentencePiece model with byte-pair encoding, byte fallback, BOS
    and EOS.
    """
    try:
        import sentencepiece
    except ImportError:
        raise ChakuError(f"reading {path} needs sentencepiece: pip install 'chaku[sentencepiece]'") from None
    try:
        model = sentencepiece.SentencePieceProcessor(model_file=str(path))
    except (OSError, RuntimeError) as error:
        raise ChakuError(
            f"{path} is not a SentencePiece model ({error}); it may be truncated: get the file again"
        ) from error
    fields = list(_fields(model.serialized_model_proto()))
    trainer, normalizer = (dict(_fields(dict(fields).get(number, b""))) for number in (_TRAINER, _NORMALIZER))
    types = [dict(_fields(value)).get(_PIECE_TYPE, 1) for number, value in fields if number == _PIECES]
    pieces = [model.id_to_piece(number) for number in range(model.get_piece_size())]
    vocab = {piece: number for number, piece in enumerate(pieces)}
    if trainer.get(_MODEL_TYPE) != _BPE or "<0x00>" not in vocab or min(model.bos_id(), model.eos_id()) < 0:
        raise ChakuError(
            f"{path} is not a tokenizer of Llama's kind: byte-pair encoding with byte fallback, BOS and EOS"
        )
    special = {piece: number for piece, number in vocab.items() if model.is_control(number) or model.is_unknown(number)}
    defined = {pieces[number]: number for number, kind in enumerate(types) if kind == _USER_DEFINED}
    unmerged = {*special.values(), *defined.values()}
    scores = {
        number: model.get_score(number)
        for number in range(len(pieces))
        if number not in unmerged and not model.is_byte(number)
    }
    bos, eos = pieces[model.bos_id()], pieces[model.eos_id()]
    space = bool(normalizer.get(_ADD_DUMMY_PREFIX, 1))
    definition = llama_definition(vocab, merges_by_score(vocab, scores), special, defined, bos, space)
    return definition, {"bos_token": bos, "eos_token": eos}


def write_sentencepiece(tokenizer: Tokenizer, path: Path) -> None:
    """Write a `tokenizer.model` with the tokenizer's pieces and ids.

    Raises ChakuError without the `sentencepiece` extra, and for a byte-level tokenizer.
    """
    if not tokenizer.definition["model"].get("byte_fallback"):
        raise ChakuError(f"cannot write {path}: a byte-level tokenizer cannot be stored as a SentencePiece model")
    try:
        from sentencepiece import sentencepiece_model_pb2 as protobuf
    except ImportError:
        raise ChakuError(f"writing {path} needs sentencepiece: pip install 'chaku[sentencepiece]'") from None
    model = protobuf.ModelProto()
    defined = {token["id"] for token in tokenizer.definition["added_tokens"]} - tokenizer.special_ids
    for number, (piece, score) in enumerate(zip(tokenizer.pieces, piece_scores(tokenizer), strict=True)):
        kind = _UNKNOWN if piece == "<unk>" else _CONTROL if number in tokenizer.special_ids else _NORMAL
        kind = _BYTE if piece in BYTES else _USER_DEFINED if number in defined else kind
        model.pieces.add(piece=piece, score=score, type=kind)
    trainer, normalizer = model.trainer_spec, model.normalizer_spec
    trainer.model_type, trainer.vocab_size, trainer.byte_fallback = _BPE, tokenizer.vocab_size, True
    trainer.unk_id, trainer.bos_id, trainer.eos_id, trainer.pad_id = 0, tokenizer.bos_id, tokenizer.eos_id, -1
    trainer.bos_piece, trainer.eos_piece = (tokenizer.pieces[token] for token in (tokenizer.bos_id, tokenizer.eos_id))
    trainer.split_digits, trainer.allow_whitespace_only_pieces = True, True
    normalizer.name, normalizer.remove_extra_whitespaces = "identity", False
    normalizer.add_dummy_prefix = tokenizer.implicit_space
    with atomic_file(path) as temporary:
        temporary.write_bytes(model.SerializeToString())


def merges_by_score(vocab: dict[str, int], scores: dict[int, float]) -> list[list[str]]:
    """The merges that correspond to SentencePiece's scores: every split of a piece in two, in the order of scores.

    `scores`: by id, the scores of all pieces that take part in merges.
    """
    ranked: list[tuple[float, int, int, list[str]]] = []
    for piece, number in vocab.items():
        if number not in scores:
            continue
        for cut in range(1, len(piece)):
            left, right = vocab.get(piece[:cut]), vocab.get(piece[cut:])
            if left in scores and right in scores:
                ranked.append((-scores[number], left, right, [piece[:cut], piece[cut:]]))
    ranked.sort(key=lambda merge: merge[:3])
    return [merge[3] for merge in ranked]


def piece_scores(tokenizer: Tokenizer) -> list[float]:
    """The SentencePiece score of each piece: the earlier its merge, the higher, as SentencePiece merges by score."""
    merges = tokenizer.definition["model"]["merges"]
    ranks: dict[str, int] = {}
    for rank, merge in enumerate(merges):
        ranks.setdefault("".join(merge_parts(merge)), rank)
    return [-float(ranks.get(piece, len(merges))) for piece in tokenizer.pieces]


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """(field number, value) of a protocol buffer; a value is an int, or bytes (4 bytes for a float)."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        number, wire = divmod(varint(), 8)
        if wire == 0:
            yield number, varint()
            continue
        size = {1: 8, 5: 4}.get(wire) or varint()
        yield number, message[at : at + size]
        at += size
