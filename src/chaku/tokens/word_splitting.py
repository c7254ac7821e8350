"""The word splittings of byte-level tokenizers: the name in a GGUF file, and the regular expressions it stands for.

`tokenizer.json` has the regular expressions, a GGUF file only the name (`tokenizer.ggml.pre`). One table serves both
directions.
"""

from dataclasses import dataclass
from typing import Any

from chaku.tokens.definition import components

# The expression of GPT-4's cl100k. Llama 3 and Qwen use it too, with different numbers of digits in a word.
_CL100K = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{digits}"
    r"| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA3_WORDS = _CL100K.format(digits="{1,3}")
_LETTERS = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}"  # upper case, lower case
_TEKKEN = (
    r"[^\r\n\p{{L}}\p{{N}}]?[{0}]*[{1}]+|[^\r\n\p{{L}}\p{{N}}]?[{0}]+[{1}]*|\p{{N}}"
    r"| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
).format(*_LETTERS)
_SEED_CODER = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}"
    r"| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# The letters of alphabets with upper and lower case. Letters that an editor may compose (NFC) are written as escapes.
_DEEPSEEK_LLM_LETTERS = (
    r"\s?["
    "A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-\u1f7dᾀ-ᾴᾶ-ᾼ"
    "\u1fbeῂ-ῄῆ-ῌῐ-\u1fd3ῖ-\u1fdbῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤ\u2126ℨ\u212a-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃"
    "]+"
)
_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_LINE = "\r\n"  # the characters themselves, as in DeepSeek's file
_DEEPSEEK_V3 = (
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+"""
    rf"|[^{_LINE}\p{{L}}\p{{P}}\p{{S}}]?[\p{{L}}\p{{M}}]+| ?[\p{{P}}\p{{S}}]+[{_LINE}]*|\s*[{_LINE}]+|\s+(?!\S)|\s+"
)


@dataclass(frozen=True, slots=True)
class WordSplitting:
    """One word splitting. `names`: its names in GGUF; chaku writes the first name.

    `steps` are applied in order: a regular expression whose matches are words, "digits" (every digit is a word), or
    "gpt-2" (GPT-2's expression). `composes`: the text is first normalised to Unicode's composed form (NFC).
    `whole_words`: a word that is a token becomes that token, without merging (`ignore_merges`).
    """

    names: tuple[str, ...]
    steps: tuple[str, ...]
    composes: bool = False
    whole_words: bool = False

    def pre_tokenizer(self) -> dict[str, Any]:
        """The pre-tokenizer entry of `tokenizer.json`."""
        members: list[dict[str, Any]] = []
        for step in self.steps:
            if step == "digits":
                members.append({"type": "Digits", "individual_digits": True})
            elif step != "gpt-2":
                members.append({"type": "Split", "pattern": {"Regex": step}, "behavior": "Isolated", "invert": False})
        return {"type": "Sequence", "pretokenizers": [*members, byte_level("gpt-2" in self.steps)]}


# Sources: the tokenizer.json of one model per family, and llama.cpp's llama-vocab.cpp for names with equal splitting.
SPLITTINGS = (
    WordSplitting(("llama-bpe", "llama3", "llama-v3"), (LLAMA3_WORDS,), whole_words=True),
    WordSplitting(("qwen2",), (_CL100K.format(digits=""),), composes=True),
    WordSplitting(("deepseek-coder",), ("[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-퟿]+", "digits")),
    WordSplitting(
        ("deepseek-llm",),
        ("[\r\n]", _DEEPSEEK_LLM_LETTERS, r"\s?[!-/:-~！-／：-～‘-‟　-。]+", r"\s+$", "[一-龥ࠀ-一가-퟿]+", "digits"),
    ),
    WordSplitting(("deepseek-v3",), (r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", _DEEPSEEK_V3)),
    # "smollm" is first: for "starcoder", llama.cpp drops spaces before signs when it turns tokens into text.
    WordSplitting(("smollm", "starcoder", "refact", "codeshell"), ("digits", "gpt-2")),
    WordSplitting(("gpt-2", "mellum"), ("gpt-2",)),
    WordSplitting(("tekken",), (_TEKKEN,), whole_words=True),
    WordSplitting(("seed-coder",), (_SEED_CODER,)),
    # llama.cpp's splitting for a file without `tokenizer.ggml.pre`.
    WordSplitting(("default",), (r"[\p{P}\$\+<=>\^~\|]+", _GPT2, r"\p{N}+", "[0-9][0-9][0-9]")),
)
BY_NAME = {name: splitting for splitting in SPLITTINGS for name in splitting.names}


def byte_level(use_regex: bool) -> dict[str, Any]:
    """The pre-tokenizer (and decoder) from words to bytes; `use_regex`: it splits by GPT-2's expression first."""
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": use_regex}


def splitting_steps(definition: dict[str, Any]) -> tuple[str, ...]:
    """The steps of a byte-level `tokenizer.json`, in the form of `WordSplitting.steps`."""
    steps: list[str] = []
    for part in components(definition.get("pre_tokenizer")):
        kind = part.get("type")
        if kind == "Split":
            steps.append(str(part["pattern"].get("Regex")))
        elif kind == "Digits" and part.get("individual_digits"):
            steps.append("digits")
        elif kind == "ByteLevel":
            steps += ["gpt-2"] if part.get("use_regex", True) else []
        else:
            steps.append(str(kind))
    return tuple(steps)
