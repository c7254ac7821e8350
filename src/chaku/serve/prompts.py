"""The prompts of requests: a hole in a file, with other files; and raw prompts, which a client may have built."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from chaku.inference.generator import InfillPrompt, RepositoryFile, TextPrompt, TokenPrompt
from chaku.serve.fields import Fields
from chaku.tokens.repository_format import repository_tokens
from chaku.tokens.tokenizer import Tokenizer

MAX_PROMPTS = 128  # of a request

# The names that llama.cpp writes where a client names neither the repository nor the file.
REPOSITORY, FILE = "myproject", "filename"
_SLASHES = "c cc cpp cxx cs cu d dart fs go h hpp java js jsx kt m mjs php proto rs scala scss swift ts tsx v vue zig"
_DASHES = "adb ads elm hs lua sql vhd vhdl"
_COMMENTS = dict.fromkeys(_SLASHES.split(), "//") | dict.fromkeys(_DASHES.split(), "--")


def hole(
    tokenizer: Tokenizer,
    prefix: str,
    suffix: str,
    others: Sequence[tuple[str, str]] = (),
    repository: str = "",
    path: str = "",
) -> InfillPrompt | TextPrompt:
    """A hole in an editor's file. `others`: (path, text) of other files, the most useful one last.

    The model reads the other files as a repository, where it was trained on repositories; else before the prefix, each
    file after a comment with its path. A model without infilling tokens goes on from the prefix, if nothing follows
    the hole.
    """
    if others and tokenizer.infilling and repository_tokens(tokenizer):
        file = RepositoryFile(repository or REPOSITORY, path or FILE, tuple(others))
        return InfillPrompt(prefix, suffix, file=file, window=True)
    if others:
        here = f"{_comment(path)} {path}\n" if path else ""
        prefix = "".join(f"{_comment(name)} {name}\n{text.rstrip()}\n\n" for name, text in others) + here + prefix
    if tokenizer.infilling is None and not suffix:
        return TextPrompt(prefix)
    return InfillPrompt(prefix, suffix, window=True)


def _comment(path: str) -> str:
    """What begins a comment line in a file."""
    return _COMMENTS.get(path.rpartition(".")[2].lower(), "#")


def raw(tokenizer: Tokenizer, text: str) -> InfillPrompt | TextPrompt:
    """A raw prompt. Where the whole text is an infilling prompt that a client wrote for this model's family, the hole.

    Everything else is text, in which the names of special tokens stay text; so is a template in whose code such a name
    occurs once more: nobody can tell which one the client meant.
    """
    tokens = tokenizer.infilling
    if tokens is None:
        return TextPrompt(text)
    found = [number for number in (tokens.prefix, tokens.suffix, tokens.middle) if number is not None]
    if any(text.count(tokenizer.pieces[number].removeprefix("▁")) != 1 for number in found):
        return TextPrompt(text)
    for pattern in _templates(tokenizer):
        if match := pattern.fullmatch(text):
            others = _read_files(tokenizer, match["files"])
            if others is None:
                break
            repository, path, files = others
            file = RepositoryFile(repository, path, files) if path else None
            return InfillPrompt(match["prefix"], match["suffix"], file=file, window=True)
    return TextPrompt(text)


@lru_cache(4)
def _templates(tokenizer: Tokenizer) -> list[re.Pattern[str]]:
    """The infilling prompts of a family as text: PSM, and SPM where the family has it."""
    tokens = tokenizer.infilling
    assert tokens
    names = [tokenizer.pieces[number] for number in (tokens.prefix, tokens.suffix, tokens.middle) if number is not None]
    # Code Llama's tokens begin with a space, which is not the code's: `<PRE> {prefix} <SUF>{suffix} <MID>`.
    spaced = names[0].startswith("▁")
    pre, suf, *mid = (re.escape(name.removeprefix("▁")) for name in names)
    space = " " if spaced else ""
    files, before, after = "(?s:(?P<files>.*?))", "(?s:(?P<prefix>.*))", "(?s:(?P<suffix>.*))"
    if not mid:
        return [re.compile(f"{files}{suf}{after}{pre}{before}")]
    psm = f"{files}{pre}{space}{before}{space}{suf}{after}{space}{mid[0]}"
    spm = f"{files}{pre}{space}{suf}{after}{space}{mid[0]}{space}{before}"
    return [re.compile(pattern) for pattern in ((psm, spm) if "spm" in tokens.modes else (psm,))]


def _read_files(tokenizer: Tokenizer, text: str) -> tuple[str, str, tuple[tuple[str, str], ...]] | None:
    """(repository, path of the file, other files) of the text before an infilling prompt; None where it is not that.

    Qwen's form: REPO_NAME repository, then for each file FILE_SEP path and, below, its text; the hole's file is last.
    """
    if not text:
        return "", "", ()
    tokens = repository_tokens(tokenizer)
    if tokens is None:
        return None
    name, separator = (tokenizer.pieces[number] for number in tokens)
    repository, *files = text.split(separator)
    paths, texts = zip(*(file.partition("\n")[::2] for file in files), strict=True) if files else ((), ())
    if not repository.startswith(name) or not paths or texts[-1] or not paths[-1] or name in text[len(name) :]:
        return None
    return repository.removeprefix(name).removesuffix("\n"), paths[-1], tuple(zip(paths, texts, strict=True))[:-1]


def read_prompts(fields: Fields, tokenizer: Tokenizer) -> list[TextPrompt | InfillPrompt | TokenPrompt]:
    """`prompt`: a text, or token ids; or a list of these. With `suffix`: each text is what stands before a hole.

    Raises Refusal.
    """
    wanted = "a string, a list of token ids, or a list of these"
    given = fields.get("prompt")
    suffix = fields.text("suffix") if "suffix" in fields else None
    several = isinstance(given, list) and not _are_ids(given)
    if several and len(given) > MAX_PROMPTS:
        raise fields.wrong("prompt", f"at most {MAX_PROMPTS} prompts")
    found: list[TextPrompt | InfillPrompt | TokenPrompt] = []
    for prompt in given if several else ["" if given is None else given]:
        if isinstance(prompt, str):
            found.append(raw(tokenizer, prompt) if suffix is None else hole(tokenizer, prompt, suffix))
        elif _are_ids(prompt) and suffix is None:
            found.append(TokenPrompt(tuple(prompt)))
        else:
            raise fields.wrong("prompt", wanted)
    if not found:
        raise fields.wrong("prompt", wanted)
    return found


def _are_ids(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(item) is int for item in value)
