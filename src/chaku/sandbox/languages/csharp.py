"""C#: the tests have their own namespace, whose imports take precedence over the candidate's definitions outside it."""

from chaku.sandbox.environment import ENVIRONMENT
from chaku.sandbox.languages.declarations import declared, first_named, imports_of
from chaku.sandbox.languages.plan import Command, Plan, close, harness, large
from chaku.sandbox.languages.toolchains import tool
from chaku.sandbox.verdict import Job


def csharp(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
    """The plan of a C# job. MultiPL-E's tests continue the candidate's class. `Plain.cs` has assertions that end the
    program: Mono's assertions only print.
    """
    files = {"program.cs": job.source}
    options: Command = ("-r:System.Numerics.dll", "-out:program.exe")
    if tests:
        own = f"Tests_{mark[:8]}"
        source, tests = close(job.source, tests)
        imports = "\n".join(imports_of(job))
        candidate = first_named("class", job.prelude)
        calls = "\n".join(
            f"{method.head} {{ return Plain.Of(global::{candidate}.{method.name}({method.arguments})); }}"
            for method in declared(job)
        )
        start = (
            "public static class Start {\npublic static void Main(string[] arguments) {\n"
            f"{candidate}.Main(arguments);\n"
            f'System.IO.File.Create("{mark}").Close();\n}}\n}}\n'
        )
        files = {
            "program.cs": f"{source}}}\n",
            f"{own}.cs": f"namespace {own} {{\n{imports}\n{harness('Plain.cs')}\n"
            f"class {candidate} {{\n{calls}\n{tests}\n{start}}}\n",
        }
        options = (*options, f"-main:{own}.Start")
    return Plan(
        files=files,
        compile=((tool("mcs"), "-nowarn:0219,0168", "-d:DEBUG", *options, *files),),
        command=(tool("mono"), "--debug", "program.exe"),
        mark=mark if tests else "",
        environment={**ENVIRONMENT, "MONO_TRACE_LISTENER": "Console.Error"},
        **large(needs_proc=True),
    )
