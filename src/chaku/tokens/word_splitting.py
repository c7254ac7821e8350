"""How byte-level tokenizers split a text into words, by the names that GGUF files give the ways.

A `tokenizer.json` says the way as regular expressions, a GGUF file as a name alone (`tokenizer.ggml.pre`). One table
serves both directions.
"""

from dataclasses import dataclass
from typing import Any

from chaku.tokens.definition import components

# The expression of GPT-4's cl100k, which Llama 3 and Qwen took over; they differ in how many digits stay together.
_CL100K = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{digits}"
    r"| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA3_WORDS = _CL100K.format(digits="{1,3}")
_LETTERS = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}"  # as upper case, as lower case
_TEKKEN = (
    r"[^\r\n\p{{L}}\p{{N}}]?[{0}]*[{1}]+|[^\r\n\p{{L}}\p{{N}}]?[{0}]+[{1}]*|\p{{N}}"
    r"| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
).format(*_LETTERS)
_SEED_CODER = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}"
    r"| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# The letters of alphabets that have upper and lower case; those that editors would compose into others, as numbers.
_DEEPSEEK_LLM_LETTERS = (
    r"\s?["
    "A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-\u1f7dᾀ-ᾴᾶ-ᾼ"
    "\u1fbeῂ-ῄῆ-ῌῐ-\u1fd3ῖ-\u1fdbῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤ\u2126ℨ\u212a-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃"
    "]+"
)
_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_LINE = "\r\n"  # the characters, as DeepSeek's file has them
_DEEPSEEK_V3 = (
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+"""
    rf"|[^{_LINE}\p{{L}}\p{{P}}\p{{S}}]?[\p{{L}}\p{{M}}]+| ?[\p{{P}}\p{{S}}]+[{_LINE}]*|\s*[{_LINE}]+|\s+(?!\S)|\s+"
)


@dataclass(frozen=True, slots=True)
class WordSplitting:
    """One way to split: `names` in GGUF, the first of which is written.

    `steps` follow one another: a regular expression whose matches are words, "digits" (a word each), "gpt-2" (that
    model's expression). `composes`: a text is brought into Unicode's composed form (NFC) first. `whole_words`: a word
    that is a token is that token, whatever the merges make of it (`ignore_merges`).
    """

    names: tuple[str, ...]
    steps: tuple[str, ...]
    composes: bool = False
    whole_words: bool = False

    def pre_tokenizer(self) -> dict[str, Any]:
        """The form of `tokenizer.json`."""
        members: list[dict[str, Any]] = []
        for step in self.steps:
            if step == "digits":
                members.append({"type": "Digits", "individual_digits": True})
            elif step != "gpt-2":
                members.append({"type": "Split", "pattern": {"Regex": step}, "behavior": "Isolated", "invert": False})
        return {"type": "Sequence", "pretokenizers": [*members, byte_level("gpt-2" in self.steps)]}


# Sources: the tokenizer.json of a model of each family; llama.cpp's llama-vocab.cpp says which names are alike.
SPLITTINGS = (
    WordSplitting(("llama-bpe", "llama3", "llama-v3"), (LLAMA3_WORDS,), whole_words=True),
    WordSplitting(("qwen2",), (_CL100K.format(digits=""),), composes=True),
    WordSplitting(("deepseek-coder",), ("[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-퟿]+", "digits")),
    WordSplitting(
        ("deepseek-llm",),
        ("[\r\n]", _DEEPSEEK_LLM_LETTERS, r"\s?[!-/:-~！-／：-～‘-‟　-。]+", r"\s+$", "[一-龥ࠀ-一가-퟿]+", "digits"),
    ),
    WordSplitting(("deepseek-v3",), (r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", _DEEPSEEK_V3)),
    # "starcoder" splits alike, but llama.cpp drops spaces before signs when it writes that one's tokens as text.
    WordSplitting(("smollm", "starcoder", "refact", "codeshell"), ("digits", "gpt-2")),
    WordSplitting(("gpt-2", "mellum"), ("gpt-2",)),
    WordSplitting(("tekken",), (_TEKKEN,), whole_words=True),
    WordSplitting(("seed-coder",), (_SEED_CODER,)),
    # What llama.cpp does where a file does not say the way.
    WordSplitting(("default",), (r"[\p{P}\$\+<=>\^~\|]+", _GPT2, r"\p{N}+", "[0-9][0-9][0-9]")),
)
BY_NAME = {name: splitting for splitting in SPLITTINGS for name in splitting.names}


def byte_level(use_regex: bool) -> dict[str, Any]:
    """The pre-tokenizer (and decoder) that makes bytes of words; `use_regex`: after GPT-2's expression."""
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": use_regex}


def splitting_steps(definition: dict[str, Any]) -> tuple[str, ...]:
    """The steps of a byte-level `tokenizer.json`, as `WordSplitting` has them."""
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
