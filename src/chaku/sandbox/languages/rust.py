"""Rust: candidate and tests are separate modules, in separate files.

An attribute or an open comment at the candidate's end does not reach the tests, nor do its macros and types. The tests'
module is a child of the candidate's module: only a child may call functions that are not public.
"""

import re

from chaku.sandbox.languages.declarations import declared, imports_of, without_comments
from chaku.sandbox.languages.plan import Plan, close, expect_main, large
from chaku.sandbox.languages.toolchains import tool
from chaku.sandbox.verdict import Job

_OWN_ATTRIBUTES = re.compile(r"(?:\s*#!\[[^\n]*\n)*")  # attributes of the whole file must stay its first lines
# Types of the language and its prelude. Other types come from the prompt's imports, or the candidate defines them.
_KNOWN_TYPES = {"Box", "Err", "Fn", "FnMut", "FnOnce", "None", "Ok", "Option", "Result", "Some", "String", "Vec"}
_KEYWORDS = {"for", "if", "in", "match", "return", "while"}


def rust(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
    """The plan of a Rust job. Tests are MultiPL-E's `fn main`, or functions with `#[test]`, called in their order."""
    options = ("--edition", "2021", "-O", "-A", "warnings", "--error-format", "short", "-o", "program")
    files = {"program.rs": job.source}
    root = "program.rs"
    if tests:
        root, own = "main.rs", f"tests_{mark[:8]}"
        source, tests = close(job.source, tests)
        attributes = _OWN_ATTRIBUTES.match(source)
        assert attributes is not None
        at = attributes.end()
        body = re.sub(r"(?<!\$)\bcrate::", "crate::program::", source[at:])
        files = {
            "main.rs": f"mod program;\nfn main() {{ program::{own}::run(); }}\n",
            "program.rs": f'{source[:at]}#[path = "{own}.rs"] pub mod {own}; {body}',
            f"{own}.rs": _tests(job, tests, mark),
        }
    return Plan(
        files=files,
        compile=((tool("rustc"), *options, root),),
        command=("./program",),
        mark=mark if tests else "",
        **large(needs_proc=True),
    )


def _tests(job: Job, tests: str, mark: str) -> str:
    """The tests' file: the prompt's imports and functions, the tests, and `run`, which calls the tests and creates the
    mark.
    """
    functions = declared(job)
    imports = imports_of(job)
    # Names that the candidate has to define: a type that its function returns, another function that the tests call.
    heads = " ".join(function.head.partition("(")[2] for function in functions)
    types = set(re.findall(r"\b[A-Z]\w*[a-z]\w*(?!\w*\s*:(?!:))", heads)) - _KNOWN_TYPES
    called = (
        set(re.findall(r"(?<![\w.:!])[a-z_]\w*(?=\()", re.sub(r"#\[[^\]]*\]", "", without_comments(tests)))) - _KEYWORDS
    )
    called -= {function.name for function in functions} | set(re.findall(r"\b(?:let|fn)\s+(?:mut\s+)?(\w+)", tests))
    foreign = sorted((types | called) - set(re.findall(r"\w+", " ".join(imports))))
    lines = [*imports, *(f"use super::{name};" for name in foreign)]
    lines += [f"{function.head} {{ super::{function.name}({function.arguments}) }}" for function in functions]
    if "#[test]" in tests:
        module = re.search(r"\bmod\s+(\w+)\s*\{", tests)
        names = re.findall(r"#\[test\]\s*(?:pub\s+)?fn\s+(\w+)", tests)
        tests = re.sub(r"#\[test\]\s*(?:pub\s+)?fn\b", "pub fn", tests.replace("#[cfg(test)]", ""))
        calls = " ".join(f"{f'{module[1]}::' if module else ''}{name}();" for name in names)
    else:
        expect_main(len(re.findall(r"\bfn\s+main\(\)", tests)), "fn main()")
        calls = "main();"
    return "\n".join([*lines, tests, f'pub fn run() {{ {calls} ::std::fs::File::create("{mark}").unwrap(); }}\n'])
