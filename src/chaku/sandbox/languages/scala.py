"""Scala: candidate and tests have separate packages."""

import re

from chaku.sandbox.languages.declarations import declared, without_comments
from chaku.sandbox.languages.plan import Plan, close, harness, large
from chaku.sandbox.languages.toolchains import tool
from chaku.sandbox.verdict import Job


def scala(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
    """The plan of a Scala job. MultiPL-E's tests continue the candidate's object."""
    found = re.search(r"\bobject\s+(\w+)", without_comments(job.source))
    start = found[1] if found else "Problem"
    files = {"program.scala": job.source}
    if tests:
        own = f"tests_{mark[:8]}"
        source, tests = close(job.source, tests)
        prompt = without_comments(job.prelude)
        imports = "\n".join(re.findall(r"^import\b.*", prompt, re.MULTILINE))
        objects = re.findall(r"\bobject\s+(\w+)", prompt)
        candidate = objects[0] if objects else "Problem"
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
