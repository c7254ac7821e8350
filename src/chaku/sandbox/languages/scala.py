"""Scala: candidate and tests have separate packages."""

from chaku.sandbox.languages.declarations import declared, first_named, imports_of
from chaku.sandbox.languages.plan import Plan, close, harness, large
from chaku.sandbox.languages.toolchains import tool
from chaku.sandbox.verdict import Job


def scala(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
    """The plan of a Scala job. MultiPL-E's tests continue the candidate's object."""
    start = first_named("object", job.source)
    files = {"program.scala": job.source}
    if tests:
        own = f"tests_{mark[:8]}"
        source, tests = close(job.source, tests)
        imports = "\n".join(imports_of(job))
        candidate = first_named("object", job.prelude)
        calls = "\n".join(
            f"{declaration.head} = Plain.of(_root_.program.{candidate}.{declaration.name}({declaration.arguments}))"
            f".asInstanceOf[{declaration.head.rpartition(':')[2].strip()}]"
            for declaration in declared(job)
        )
        start = f"{own}.Start"
        files = {
            "program.scala": f"package program\n{source}}}\n",
            f"{own}.scala": f"package {own}\n{imports}\n{harness('Plain.scala')}\n"
            f"object {candidate} {{\n{calls}\n{tests}\n"
            f"object Start {{ def main(arguments: Array[String]): Unit = {{\n{candidate}.main(arguments)\n"
            f'new java.io.File("{mark}").createNewFile() }} }}\n',
        }
    return Plan(
        files=files,
        compile=((tool("scalac"), "-d", ".", *files),),
        command=(tool("scala"), f"-J-Xmx{memory_mb * 3 // 4}m", "-nocompdaemon", "-cp", ".", start),
        mark=mark if tests else "",
        **large(needs_proc=True),
    )
