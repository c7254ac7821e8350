"""Functions out of replies in other languages, put where the tests go on; judged by the real tests."""

import pytest

from chaku.evals.benchmarks.multipl_e_chat import function_name
from chaku.evals.chat import in_chat
from chaku.evals.suite import BENCHMARKS
from evals.running import benchmark_file, judge

REPLIES = {
    "cpp": [
        "```cpp\n#include <iostream>\nusing namespace std;\n\nlong same(long a) {\n    return a;\n}\n\n"
        "long add(long x, long y) {\n    return same(x) + y;\n}\n\nint main() {\n    cout << add(2, 3);\n}\n```",
        "long add(long x, long y) { return x + y; }",
        "    return x + y;\n}\n",
        "```\nlong add(long x, long y)\n{\n    if (x) {\n        return x + y;\n    }\n    return y;\n}\n```\nDone.",
    ],
    "java": [
        "```java\nimport java.util.*;\n\npublic class Solution {\n    private static long same(long a) {\n"
        "        return a;\n    }\n\n    public static long add(long x, long y) {\n        return same(x) + like(y);\n"
        "    }\n\n    static long like(long a) {\n        return a;\n    }\n\n"
        "    public static void main(String[] args) {\n        System.out.println(add(1, 2));\n    }\n}\n```",
        "```java\npublic static long add(long x, long y) {\n    return x + y;\n}\n```",
        "```java\nclass Pair {\n    long a;\n}\nclass Problem {\n    public static long add(long x, long y) {\n"
        "        return x + y + new Pair().a;\n    }\n}\n```",
        "        return x + y;\n    }\n}",
    ],
    "js": [
        "```js\nconst add = (x, y) => x + y;\nconsole.log(add(1, 2));\nmodule.exports = { add };\n```",
        "Sure:\n```javascript\nexport function add(x, y) {\n  return sum(x, y);\n}\n\nfunction sum(a, b) {\n"
        "  return a + b;\n}\n\nconsole.log(add(1, 2));\n```\nDone.",
        "function add(x, y){\n  return x + y;\n}\nassert.equal(add(1, 2), 4);",
        "  return x + y;\n}",
    ],
    "sh": [
        "```bash\n#!/bin/bash\nadd() {\n  local x=$1\n  echo $(( x + $2 ))\n}\nadd 1 2\n```",
        "add() { echo $(($1 + $2)); }",
        "  echo $(($1 + $2))\n}",
    ],
    "rs": [
        "```rust\nuse std::collections::HashMap;\n\n/// doc\npub fn add(x: isize, y: isize) -> isize {\n"
        "    let m: HashMap<isize, isize> = HashMap::new();\n    x + y + m.len() as isize\n}\n\nfn main() {\n"
        '    println!("{}", add(1, 2));\n}\n```',
        "fn add(x: isize, y: isize) -> isize { x + y }",
        "```rust\nfn add(\n    x: isize,\n    y: isize,\n) -> isize {\n    sum(x, y)\n}\n\n"
        "fn sum(x: isize, y: isize) -> isize {\n    x + y\n}\n\n#[cfg(test)]\nmod tests {\n    use super::*;\n}\n```",
    ],
    "go": ["```go\npackage main\n\nimport (\n\t\"fmt\"\n\t\"math\"\n)\n\nfunc add(x int, y int) int {\n"
           "\treturn int(math.Abs(float64(x + y)))\n}\n\nfunc main() {\n\tfmt.Println(add(1, 2))\n}\n```"],
    "php": ["```php\n<?php\nfunction add($x, $y) {\n    return $x + $y;\n}\necho add(1, 2);\n?>\n```"],
    "ts": ["```typescript\nexport const add = (x: number, y: number): number => {\n  return x + y;\n};\n```"],
    "cs": ["```csharp\nusing System;\nusing System.IO;\n\nnamespace X\n{\n    public class Program\n    {\n"
           "        public static long Add(long x, long y)\n        {\n            return x + y;\n        }\n\n"
           "        static void Main()\n        {\n        }\n    }\n}\n```"],
}  # fmt: skip


def chat(short):
    benchmark = in_chat(BENCHMARKS[f"multipl-e-{short}"], BENCHMARKS)
    tasks = {task.task_id: task for task in benchmark.load(benchmark_file(f"multipl-e/humaneval-{short}.jsonl"))}
    return benchmark, tasks["HumanEval_53_add"]


@pytest.mark.parametrize("short", REPLIES)
def test_right_functions_pass_however_they_are_told(short, tmp_path):
    benchmark, task = chat(short)
    programs = [benchmark.cut_text(task, reply) for reply in REPLIES[short]]
    judgements = judge(benchmark, [(task, program) for program in programs], tmp_path)
    for program, judgement in zip(programs, judgements, strict=True):
        assert judgement.passed, f"{judgement.reason}\n{program}"


def test_the_language_is_named_in_the_message_and_in_the_opened_reply():
    benchmark, task = chat("cpp")
    assert task.prompt.startswith("Please provide a self-contained C++ script that solves the following problem in a")
    assert task.prompt.endswith("\nlong add(long x, long y) {\n```\n")
    assert benchmark.opening.endswith("corresponding tests:\n```cpp\n")
    assert benchmark.opening.startswith("Below is a C++ script with a self-contained function")


def test_imports_of_go_are_those_that_are_used():
    benchmark, task = chat("go")
    program = benchmark.cut_text(task, REPLIES["go"][0])
    assert program.startswith('package add_test\nimport "math"\n')
    assert program.count('"fmt"') == 1
    assert "func main" not in program


def test_a_csharp_method_moves_into_the_prompts_class():
    benchmark, task = chat("cs")
    program = benchmark.cut_text(task, REPLIES["cs"][0])
    assert program.count("class") == 1
    assert "using System.IO;" in program
    assert program.endswith("return x + y;")


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("// f(1)\nfunction f(x){\n", "f"),
        ("#include<assert.h>\n// g(1)\nstd::vector<long> f(std::vector<long> x) {", "f"),
        ("# f(1)\nf <- function(x) {", "f"),
        ("# doc\nsub f {\n    my($x, $y) = @_;", "f"),
        ("object Problem {\n    // f\n    def f(x : Long) : Boolean = {", "f"),
    ],
)
def test_the_name_of_the_function_that_is_asked_for(prompt, name):
    assert function_name(prompt) == name
