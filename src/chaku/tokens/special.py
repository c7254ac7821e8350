"""Special tokens: BOS, EOS, and the infilling tokens of every model family with their order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from chaku.console import say
from chaku.errors import ChakuError

Mode = Literal["psm", "spm"]
MODES: tuple[Mode, ...] = ("psm", "spm")
Part = TypeVar("Part")

# Names of BOS and EOS to try when neither tokenizer_config.json nor the post-processor gives them.
_BEGINS = ("<s>", "<|begin_of_text|>", "<｜begin▁of▁sentence｜>", "<|startoftext|>")
_ENDS = ("</s>", "<|end_of_text|>", "<｜end▁of▁sentence｜>", "<|endoftext|>")


@dataclass(frozen=True, slots=True)
class Family:
    """A model family's infilling tokens by name. `middle` is None if no token stands between prefix and middle.

    `end` ends the middle. `stops` are tokens that no middle contains, so that each of them ends generation too.
    """

    name: str
    prefix: str
    suffix: str
    middle: str | None
    end: str
    stops: tuple[str, ...] = ()
    modes: tuple[Mode, ...] = MODES


# Sources: Code Llama: paper 2.3 and Meta's `infilling_prompt_tokens`. Qwen2.5-Coder: technical report, and the stop
# tokens of its infilling example. StarCoder: the PSM and SPM of its training (BigCode's Megatron-LM); Granite-Code and
# Yi-Coder have its tokens. DeepSeek-Coder: paper 3.1.2 (PSM alone). Codestral: `encode_fim` of mistral_common.
FAMILIES = (
    Family("Code Llama", "▁<PRE>", "▁<SUF>", "▁<MID>", "▁<EOT>"),
    Family(
        "Qwen",
        "<|fim_prefix|>",
        "<|fim_suffix|>",
        "<|fim_middle|>",
        "<|endoftext|>",
        stops=("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>"),
        modes=("psm",),
    ),
    Family(
        "StarCoder",
        "<fim_prefix>",
        "<fim_suffix>",
        "<fim_middle>",
        "<|endoftext|>",
        stops=("<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<fim_pad>", "<filename>", "<reponame>", "<file_sep>"),
    ),
    Family(
        "DeepSeek-Coder",
        "<｜fim▁begin｜>",
        "<｜fim▁hole｜>",
        "<｜fim▁end｜>",
        "<｜end▁of▁sentence｜>",
        stops=("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),
        modes=("psm",),
    ),
    Family("Codestral", "[PREFIX]", "[SUFFIX]", None, "</s>", stops=("[PREFIX]", "[SUFFIX]"), modes=("spm",)),
)


# A family with unknown token names may give them by these keys in tokenizer_config.json; GGUF's metadata gives ids.
FIM_TOKENS = ("fim_pre", "fim_suf", "fim_mid")

# Code Llama's vocabulary has more pieces beside its four infilling tokens (ids 32000-32006, 32011-32015): the steps by
# which SentencePiece merges these tokens, and repeats of EOT. No training text contains them.
CODE_LLAMA_LADDER = ("▁<SU", "▁<SUF", "▁<PRE", "▁<M", "▁<MID", "▁<E", "▁<EOT")
CODE_LLAMA_REPEATS = tuple("▁<EOT>" + "<EOT>" * count for count in range(1, 6))


@dataclass(frozen=True, slots=True)
class InfillingTokens:
    """A family's infilling tokens by id. `end` ends the middle; it is EOS in families without a token for this.

    `stops`, which include `end`, end the generation of a middle.
    """

    family: str
    prefix: int
    suffix: int
    middle: int | None
    end: int
    stops: frozenset[int]
    modes: tuple[Mode, ...]

    def arrange(self, mode: Mode, before: Part, after: Part) -> list[int | Part]:
        """The prompt for the middle, in parts. PSM: prefix token, `before`, suffix token, `after`, middle token.

        SPM: prefix token, suffix token, `after`, middle token, `before`. Without a middle token: suffix token, `after`,
        prefix token, `before`.
        """
        if self.middle is None:
            return [self.suffix, after, self.prefix, before]
        if mode == "psm":
            return [self.prefix, before, self.suffix, after, self.middle]
        return [self.prefix, self.suffix, after, self.middle, before]


@dataclass(frozen=True, slots=True)
class SpecialTokens:
    """`bos` and `eos` stand around every text in training; `begin` ([BOS] or []) stands before a prompt.

    `ids` are all special tokens; encoding a text never produces them.
    """

    bos: int
    eos: int
    begin: list[int]
    infilling: InfillingTokens | None
    ids: frozenset[int]


def find_special_tokens(
    ids: Mapping[str, int], definition: Mapping[str, Any], config: Mapping[str, Any]
) -> SpecialTokens:
    """Find the special tokens of a `tokenizer.json` (`definition`) and its `tokenizer_config.json` (`config`).

    `ids`: all tokens by name. A vocabulary without BOS (Qwen's, StarCoder's) uses its document separator, the
    end-of-text token, as BOS in training, and puts nothing before a prompt. Infilling tokens are always special; Qwen's
    file does not mark them so. Raises ChakuError when there is no end-of-text token.
    """
    eos = next((ids[name] for name in (token_name(config, "eos_token"), *_ENDS) if name in ids), None)
    if eos is None:
        raise ChakuError("the tokenizer has no end-of-text token; name it as eos_token in its tokenizer_config.json")
    before = _template_begin(definition.get("post_processor"))
    known = () if "bos_token" in config else _BEGINS
    bos = next((ids[name] for name in (token_name(config, "bos_token"), *before, *known) if name in ids), None)
    adds = config.get("add_bos_token")
    if not isinstance(adds, bool):
        adds = bool(before) or "bos_token" not in config
    infilling = _find_infilling(ids, eos, config)
    special = {token["id"] for token in definition["added_tokens"] if token["special"]} | {eos}
    special |= {bos} if bos is not None else set()
    if infilling is not None:
        special |= infilling.stops | {infilling.prefix, infilling.suffix}
        special |= {infilling.middle} if infilling.middle is not None else set()
        if infilling.family == "Code Llama":
            special |= {ids[piece] for piece in (*CODE_LLAMA_LADDER, *CODE_LLAMA_REPEATS) if piece in ids}
    return SpecialTokens(
        bos if bos is not None else ids.get("<|endoftext|>", eos),
        eos,
        [bos] if adds and bos is not None else [],
        infilling,
        frozenset(special),
    )


def _find_infilling(ids: Mapping[str, int], eos: int, config: Mapping[str, Any]) -> InfillingTokens | None:
    for family in FAMILIES:
        if all(name is None or name in ids for name in (family.prefix, family.suffix, family.middle)):
            end = ids.get(family.end, eos)
            return InfillingTokens(
                family.name,
                ids[family.prefix],
                ids[family.suffix],
                None if family.middle is None else ids[family.middle],
                end,
                frozenset(ids[name] for name in family.stops if name in ids) | {end},
                family.modes,
            )
    named = [ids.get(token_name(config, f"{key}_token")) for key in FIM_TOKENS]
    if None in named:
        return None
    prefix, suffix, middle = (number for number in named if number is not None)
    return InfillingTokens("unnamed", prefix, suffix, middle, eos, frozenset({prefix, suffix, middle, eos}), ("psm",))


def token_name(config: Mapping[str, Any], key: str) -> str:
    """The name of a token in `tokenizer_config.json`, such as "eos_token"; "" when it has none."""
    value = config.get(key) or ""
    return value["content"] if isinstance(value, dict) else value


def leave_out_unembedded(
    definition: dict[str, Any], config: dict[str, Any], num_embeddings: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(definition, config) without the added tokens for which the model has no embedding.

    Hugging Face's Code Llama 34B has 32,004 tokens and 32,000 embeddings (transformers issue 26714). transformers 5
    adds <FILL_ME> (32016) when it saves the tokenizers of the other sizes.
    """
    added, vocab = definition["added_tokens"], definition["model"]["vocab"]
    names = {token["content"] for token in added if token["id"] >= num_embeddings and token["content"] not in vocab}
    if not names:
        return definition, config
    say(f"the model has no embeddings for {', '.join(sorted(names))}: these tokens are left out")
    definition = {**definition, "added_tokens": [token for token in added if token["content"] not in names]}
    kept: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, list):
            kept[key] = [token for token in value if _content(token) not in names]
        elif key == "added_tokens_decoder":
            kept[key] = {number: token for number, token in value.items() if _content(token) not in names}
        elif _content(value) not in names:
            kept[key] = value
    return definition, kept


def _content(token: Any) -> Any:
    """A token's name; a configuration gives a token as a string, or as a dict with its settings."""
    if isinstance(token, dict):
        return token.get("content")
    return token if isinstance(token, str) else None


def state_begin(definition: dict[str, Any], pieces: Sequence[str], begin: Sequence[int]) -> dict[str, Any]:
    """The definition with a post-processor that puts `begin` before a text; newer transformers need it there.

    DeepSeek's files state BOS only in tokenizer_config.json. A definition that has such a post-processor is returned
    as it is.
    """
    if _template_begin(definition.get("post_processor")) == [pieces[number] for number in begin]:
        return definition
    return {**definition, "post_processor": begin_template(pieces[begin[0]], begin[0]) if begin else None}


def begin_template(bos: str, number: int) -> dict[str, Any]:
    """The post-processor that puts BOS before a text."""
    return {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": bos, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {bos: {"id": bos, "ids": [number], "tokens": [bos]}},
    }


def _template_begin(processor: dict[str, Any] | None) -> list[str]:
    """The special tokens that a post-processor puts before a text."""
    names: list[str] = []
    for step in (processor or {}).get("processors", [processor or {}]):
        for part in step.get("single", []) if step.get("type") == "TemplateProcessing" else []:
            if "SpecialToken" not in part:
                break
            names.append(part["SpecialToken"]["id"])
    return names
