"""Detect a file's language and kind by its name (through Pygments), or by its content when the name is not enough."""

import re
from functools import cache

# File names of prose about code, and of plain prose.
_PROSE_ABOUT_CODE = {".md": "Markdown", ".markdown": "Markdown", ".rst": "reStructuredText"}
_MANUAL = re.compile(r"\.[1-9][a-z]*(\.gz)?$")
_README = re.compile(r"^(readme|changes|changelog|news|authors|contributing|install|howto|faq)(\.txt)?(\.gz)?$", re.I)
_LICENCE = re.compile(r"^(licen[cs]e|copying|copyright|notice)[\w.-]*$", re.I)

# Extensions for which Pygments lists several languages: the usual language in a code repository.
_DECIDED = {
    ".h": "C",
    ".hh": "C++",
    ".hpp": "C++",
    ".inc": "C",
    ".pl": "Perl",
    ".pm": "Perl",
    ".t": "Perl",
    ".m": "Objective-C",
    ".ts": "TypeScript",
    ".v": "Verilog",
    ".cs": "C#",
    ".js": "JavaScript",
    ".mjs": "JavaScript",
    ".cjs": "JavaScript",
    ".sh": "Shell",
    ".bash": "Shell",
    ".py": "Python",
    ".pyi": "Python",
    ".sql": "SQL",
    ".r": "R",
    ".json": "JSON",
    ".yaml": "YAML",
    ".yml": "YAML",
    ".xml": "XML",
    ".html": "HTML",
    ".htm": "HTML",
    ".css": "CSS",
}
# A .h file is C++ when it has syntax that C lacks, unless it is a C header that hides C++ behind #ifdef __cplusplus.
_CPP_WORDS = ("namespace", "template", "class", "using")
_CPP = re.compile(r"namespace\s+[\w:]+\s*\{|template\s*<|class\s+\w[\w ]*(:|\s*\{)|using\s+(namespace\s|\w+\s*=|\w+::)")
_C_FOR_CPP = re.compile(r"#\s*ifdef\s+__cplusplus|#\s*if.*defined\s*\(?\s*__cplusplus")
# Extensions that several languages share: a language whose syntax tells it, by linguist's heuristics. The first that
# matches counts; else the usual language. A text is searched in its first SEEN characters.
SEEN = 20_000
_SHARED = {
    ".ts": [("XML", r"\A\s*(<\?xml\b|<!DOCTYPE TS>|<TS\b)")],
    ".m": [
        (
            "Objective-C",
            r"^\s*(@(interface|class|protocol|property|end|implementation|import)\b|#\s*(import|include)\b)",
        ),
        ("Mathematica", r"\(\*|:=\s*Module\["),
        ("Matlab", r"^\s*(%|function\b[^;{]*$|end;?$|endfunction\b|\w+\s*=\s*(zeros|ones|linspace)\()"),
    ],
    ".pl": [
        ("Perl", r"^\s*(use\s+(strict|warnings|v?5)\b|my\s+[$@%]|sub\s+\w+)"),
        ("Prolog", r"^[^#\n]*:-|^\w+\(.*\)\.$"),
    ],
    ".v": [("Coq", r"^\s*(Require\s+(Import|Export)|Theorem|Lemma|Proof|Definition|Fixpoint|Inductive)\b[^;]*$")],
    ".inc": [("PHP", r"<\?(php|=)"), ("Pascal", r"^\s*(procedure|unit\s+\w+;|begin\s*$)")],
    ".r": [("Rebol", r"\A\s*REBOL\b")],
    ".cs": [("Smalltalk", r"![\w\s]+methodsFor: ")],
    ".t": [("Perl", r"^\s*(use\s+(strict|warnings|v?5|Test)\b|my\s+[$@%])"), ("Turing", r"^\s*(\w+\s*:=|end\s+\w+$)")],
}
_TELLS = {
    suffix: [(language, re.compile(words, re.M)) for language, words in rules] for suffix, rules in _SHARED.items()
}
_MARKUP = re.compile(r"\A\s*(?:(<!doctype html\b|<html[\s>])|(<\?xml\s))", re.I)
_NEVER_MARKUP = {"C", "C#", "C++", "Go", "Java", "JavaScript", "Perl", "Python", "R", "Ruby", "Rust", "SQL", "Shell"}
_RENAMED = {"Bash": "Shell", "Text only": "Text"}
_INTERPRETERS = {"sh": "Shell", "bash": "Shell", "dash": "Shell", "zsh": "Shell", "python": "Python", "perl": "Perl"}
_INTERPRETERS |= {"node": "JavaScript", "ruby": "Ruby", "php": "PHP", "lua": "Lua", "tclsh": "Tcl"}
_SCRIPTS = frozenset(_INTERPRETERS.values())

# Data and mark-up languages: their files are never cut into pieces, and have their own limits in `filters`.
DATA = frozenset({"JSON", "XML", "YAML", "HTML", "CSS", "SVG", "INI", "TOML", "CSV", "Diff"})


def kind_and_language(path: str, text: str) -> tuple[str, str] | None:
    """("code", "Python"), ("code_prose", "Markdown"), ("prose", "Text") ..., or None for any other file."""
    name = path.rpartition("/")[2].removesuffix(".gz").removesuffix(".zst")
    suffix = _suffix(name).lower()
    if _LICENCE.match(name):
        return "prose", "Text"
    if suffix in _PROSE_ABOUT_CODE:
        return "code_prose", _PROSE_ABOUT_CODE[suffix]
    if _README.match(name):
        return "code_prose", "Text"
    if _MANUAL.search(name) and "man" in path.split("/"):
        return "code_prose", "Manual"
    language = _DECIDED.get(suffix) or _by_name(name) or _by_first_line(text)
    if language is not None and suffix:
        language = _by_content(suffix, language, text) or language
    if suffix == ".h" and _is_cpp(text) and not _C_FOR_CPP.search(text):
        language = "C++"
    if language is not None and language != "Text":
        return "code", language
    return ("prose", "Text") if suffix == ".txt" else None


def _suffix(name: str) -> str:
    """The end of a name from its last dot on; "" where nothing stands before or after the dot."""
    dot = name.rfind(".")
    return name[dot:] if 0 < dot < len(name) - 1 else ""


def _is_cpp(text: str) -> bool:
    """Whether a line begins with syntax of C++. A search for the words first: one for lines takes ten times as long."""
    for word in _CPP_WORDS:
        at = text.find(word)
        while at >= 0:
            if not text[text.rfind("\n", 0, at) + 1 : at].strip() and _CPP.match(text, at):
                return True
            at = text.find(word, at + 1)
    return False


@cache
def _by_extension(pattern: str) -> str | None:
    from pygments.lexers import find_lexer_class_for_filename

    lexer = find_lexer_class_for_filename(pattern)
    return _RENAMED.get(lexer.name, lexer.name) if lexer else None


def _by_name(name: str) -> str | None:
    suffix = _suffix(name)
    return _by_extension(f"x{suffix}" if suffix else name)


def _by_content(suffix: str, language: str, text: str) -> str | None:
    """The language that the text itself tells where the name lies: another one of its extension, a script, a page."""
    seen = text[:SEEN]
    if told := next((name for name, pattern in _TELLS.get(suffix, ()) if pattern.search(seen)), None):
        return told
    if language not in _NEVER_MARKUP:
        return None
    if markup := _MARKUP.match(seen):
        return "HTML" if markup[1] else "XML"
    script = _by_first_line(text)
    return script if script and language in _SCRIPTS else None


def _by_first_line(text: str) -> str | None:
    if not text.startswith("#!"):
        return None
    words = re.split(r"[/\s]+", text.split("\n", 1)[0])
    for word in words:
        language = _INTERPRETERS.get(re.sub(r"[\d.]+$", "", word))
        if language:
            return language
    return None
