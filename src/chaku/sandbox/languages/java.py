"""Java: candidate and tests have separate packages; the tests call the candidate through an entry class.

Brackets and definitions in the candidate's text therefore do not affect the tests, and its return values are copied
into the language's own classes before the tests compare them.
"""

import re

from chaku.sandbox.languages.declarations import Function, declared, imports_of, without_comments
from chaku.sandbox.languages.plan import Plan, close, harness, large
from chaku.sandbox.languages.toolchains import library, tool
from chaku.sandbox.verdict import Job

_TYPE = r"\b(?:class|record|enum|interface)\s+(\w+)"
_PUBLIC_TYPE = rf"\bpublic\s+(?:final\s+|abstract\s+|sealed\s+)*{_TYPE}"
_PRIMITIVES = {"boolean", "byte", "char", "short", "int", "long", "float", "double"}
_SMALL = ("-XX:+UseSerialGC", "-XX:-UsePerfData", "-Xshare:auto")


def java(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
    """The plan of a Java job. The tests continue the candidate's class (MultiPL-E), or are a class that creates an
    object of the candidate's class.
    """
    # A missing library that only the candidate imports is not the user's problem: the candidate does not compile.
    path = ":".join(filter(None, (".", library("java", job.prelude + tests if tests else job.source))))
    if tests:
        start, files = f"tests_{mark[:8]}.Start", _files(job, tests, mark, f"tests_{mark[:8]}")
    else:
        start, name = _main_and_file(job.source)
        files = {f"{name}.java": job.source}
    flags = tuple(f"-J{flag}" for flag in (*_SMALL, "-XX:TieredStopAtLevel=1"))
    compiler = (tool("javac"), *flags, "-encoding", "UTF-8", "-nowarn", "-cp", path, "-d", ".")
    return Plan(
        files=files,
        compile=((*compiler, *files),),
        command=(tool("java"), *_SMALL, f"-Xmx{memory_mb * 3 // 4}m", "-Xss16m", "-ea", "-cp", path, start),
        mark=mark if tests else "",
        **large(needs_proc=True),
    )


def _files(job: Job, tests: str, mark: str, own: str) -> dict[str, str]:
    imports = "\n".join(imports_of(job))
    functions, types = declared(job), re.findall(_TYPE, without_comments(job.prelude))
    candidate, entry = types[0] if types else "Problem", f"Entry_{own}"
    source, tests = close(job.source, tests)
    if "static" in functions[0].head:  # MultiPL-E: the tests end the candidate's class
        source, tests_class = f"{source}}}\n", candidate
        target, called = f"program.{entry}", candidate
        tests = f"class {candidate} {{\n{_calls(functions, target)}\n{tests}"
    else:
        tests_class = (re.findall(_TYPE, without_comments(tests)) or ["Main"])[0]
        target, called = "entry", "candidate"
        fields = f"program.{entry} entry = new program.{entry}();"
        tests = re.sub(rf"\bpublic\s+(?=class\s+{tests_class}\b)", "", tests)
        tests = f"class {candidate} {{\n{fields}\n{_calls(functions, target)}\n}}\n{tests}"
    field = "" if called == candidate else f"private final {candidate} candidate = new {candidate}();\n"
    calls = "\n".join(
        f"{_public(function)} {{ {'' if _result(function) == 'void' else 'return '}"
        f"{called}.{function.name}({function.arguments}); }}"
        for function in functions
    )
    start = (
        "public class Start {\npublic static void main(String[] arguments) throws Throwable {\n"
        f'{tests_class}.main(arguments); new java.io.File("{mark}").createNewFile(); }} }}\n'
    )
    public = re.search(_PUBLIC_TYPE, without_comments(source))
    return {
        f"{public[1] if public else candidate}.java": f"package program; {source}",
        f"{entry}.java": f"package program;\n{imports}\npublic class {entry} {{\n{field}{calls}\n}}\n",
        f"{own}.java": f"package {own};\n{imports}\n{harness('Plain.java')}\n{tests}",
        "Start.java": f"package {own};\n{start}",
    }


def _calls(functions: list[Function], target: str) -> str:
    """The functions that the tests call: they call the entry class and copy its results into plain values."""
    lines = []
    for function in functions:
        call, result = f"{target}.{function.name}({function.arguments})", _result(function)
        if result == "void":
            body = f"{call};"
        elif result in _PRIMITIVES:
            body = f"return {call};"
        else:
            body = f"return ({result}) Plain.of({call});"
        lines.append(f'@SuppressWarnings("unchecked") {_public(function)} {{ {body} }}')
    return "\n".join(lines)


def _public(function: Function) -> str:
    return "public " + re.sub(r"\b(?:public|private|protected)\s+", "", function.head)


def _result(function: Function) -> str:
    """The function's return type."""
    before = function.head.partition("(")[0].rpartition(function.name)[0]
    return re.sub(r"\b(?:public|private|protected|static|final)\b", "", before).strip()


def _main_and_file(source: str) -> tuple[str, str]:
    """(the class whose `main` is run, the name that the file must have); both are top-level types."""
    text, depth, outer = without_comments(source), 0, []
    for token in re.finditer(rf"[{{}}]|{_TYPE}|\bvoid\s+(?P<main>main)\s*\(", text):
        if token[0] in "{}":
            depth += 1 if token[0] == "{" else -1
        elif token["main"]:
            break
        elif depth == 0:
            outer.append(token[1])
    main = outer[-1] if outer else "Main"
    public = re.search(_PUBLIC_TYPE, text)
    return main, public[1] if public else main
