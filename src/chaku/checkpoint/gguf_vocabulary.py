"""A tokenizer as metadata of a GGUF file: pieces and types, scores or merges, special tokens, the chat template."""

from typing import Any

from chaku.errors import ChakuError
from chaku.tokens.definition import SPACE, merge_parts
from chaku.tokens.sentencepiece import piece_scores
from chaku.tokens.tokenizer import Tokenizer
from chaku.tokens.word_splitting import SPLITTINGS, splitting_steps


def add_vocabulary(writer: Any, tokenizer: Tokenizer, vocab_size: int) -> None:
    """Write the vocabulary, filled up with unused pieces to the model's rows, and what llama.cpp encodes with.

    Raises ChakuError for a tokenizer that llama.cpp has no name for, and for one that does not belong to the model.
    """
    import gguf

    definition = tokenizer.definition
    model = definition["model"]
    ids = {**model["vocab"], **{token["content"]: token["id"] for token in definition["added_tokens"]}}
    if max(ids.values()) >= vocab_size:
        raise ChakuError(
            f"the model has {vocab_size} token embeddings and the tokenizer {max(ids.values()) + 1} tokens; "
            "they do not belong together"
        )
    tokens = [f"[PAD{number}]" for number in range(vocab_size)]
    types = [gguf.TokenType.UNUSED] * vocab_size
    added = {token["id"] for token in definition["added_tokens"]}
    for piece, number in ids.items():
        tokens[number] = piece
        if piece == model.get("unk_token"):
            types[number] = gguf.TokenType.UNKNOWN
        elif number in tokenizer.special_ids:
            types[number] = gguf.TokenType.CONTROL
        elif number in added:
            types[number] = gguf.TokenType.USER_DEFINED
            tokens[number] = piece.replace(SPACE, " ")  # looked for in the text as it is given
        elif model.get("byte_fallback") and len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"):
            types[number] = gguf.TokenType.BYTE
        else:
            types[number] = gguf.TokenType.NORMAL
    if model.get("byte_fallback"):
        scores = piece_scores(tokenizer)
        writer.add_tokenizer_model("llama")
        writer.add_tokenizer_pre("default")
        writer.add_token_scores(scores + [min(scores)] * (vocab_size - len(scores)))
    else:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(_splitting_name(definition))
        writer.add_token_merges([" ".join(merge_parts(merge)) for merge in model["merges"]])
    writer.add_add_space_prefix(tokenizer.implicit_space)
    writer.add_add_bos_token(bool(tokenizer.begin))
    writer.add_add_eos_token(False)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    keys = gguf.Keys.Tokenizer
    for key, special in (
        (keys.BOS_ID, tokenizer.bos_id),
        (keys.EOS_ID, tokenizer.eos_id),
        (keys.UNK_ID, ids.get(model.get("unk_token") or "")),
        (keys.EOT_ID, None if tokenizer.eot_id == tokenizer.eos_id else tokenizer.eot_id),
        (keys.FIM_PRE_ID, tokenizer.prefix_id),
        (keys.FIM_SUF_ID, tokenizer.suffix_id),
        (keys.FIM_MID_ID, tokenizer.middle_id),
    ):
        if special is not None:
            writer.add_uint32(key, special)
    if template := tokenizer.config.get("chat_template"):
        writer.add_chat_template(template)


def _splitting_name(definition: dict[str, Any]) -> str:
    """llama.cpp's name of a byte-level tokenizer's way to split a text into words."""
    steps = splitting_steps(definition)
    name = next((splitting.names[0] for splitting in SPLITTINGS if splitting.steps == steps), None)
    if name is None:
        known = ", ".join(splitting.names[0] for splitting in SPLITTINGS)
        raise ChakuError(
            f"llama.cpp must split words as the tokenizer does, and this tokenizer's way ({list(steps)}) is none of "
            f"those that chaku can name to it ({known}); convert the checkpoint with llama.cpp's convert_hf_to_gguf.py"
        )
    return name
