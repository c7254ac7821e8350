"""Write a tokenizer into a GGUF file's metadata: pieces, types, scores or merges, special tokens, chat template."""

from typing import Any

from chaku.errors import ChakuError
from chaku.tokens.definition import SPACE, merge_parts
from chaku.tokens.sentencepiece import piece_scores
from chaku.tokens.tokenizer import Tokenizer
from chaku.tokens.word_splitting import SPLITTINGS, splitting_steps


def add_vocabulary(writer: Any, tokenizer: Tokenizer, vocab_size: int) -> None:
    """Write the vocabulary and llama.cpp's settings for encoding. Unused pieces pad it to `vocab_size`.

    Raises ChakuError for a word splitting that llama.cpp has no name for, and for a tokenizer with more tokens than the
    model has embeddings.
    """
    import gguf

    definition = tokenizer.definition
    model = definition["model"]
    ids = {**model["vocab"], **{token["content"]: token["id"] for token in definition["added_tokens"]}}
    if max(ids.values()) >= vocab_size:
        raise ChakuError(
            f"the model has {vocab_size} token embeddings, but the tokenizer has {max(ids.values()) + 1} tokens; use "
            "the model's own tokenizer"
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
            tokens[number] = piece.replace(SPACE, " ")  # llama.cpp searches it in the raw text
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
    """llama.cpp's name for a byte-level tokenizer's word splitting. Raises ChakuError when it has none."""
    steps = splitting_steps(definition)
    name = next((splitting.names[0] for splitting in SPLITTINGS if splitting.steps == steps), None)
    if name is None:
        known = ", ".join(splitting.names[0] for splitting in SPLITTINGS)
        raise ChakuError(
            f"this tokenizer splits words by {list(steps)}, which is none of the splittings that chaku can name to "
            f"llama.cpp ({known}); convert the checkpoint with llama.cpp's convert_hf_to_gguf.py"
        )
    return name
