"""Every language whose toolchain is here: right and wrong candidates, programs, their verdicts and reasons."""

import shutil
import sysconfig
from pathlib import Path

import pytest

from chaku import doctor
from chaku.errors import ChakuError
from chaku.sandbox.languages import toolchains
from chaku.sandbox.languages.runners import plan
from chaku.sandbox.verdict import Job, Verdict
from chaku.sandbox.worker import Worker


def run(worker: Worker, job: Job) -> Verdict:
    missing = toolchains.why_not(job.language)
    if missing is not None:
        pytest.skip(f"NOT tested: {missing}")
    try:
        plan(job)
    except ChakuError as error:  # a library that the tests use
        pytest.skip(f"NOT tested: {error}")
    return worker.run(job, timeout=20.0)


# The function f, which doubles a number, with a hole for its body; tests in MultiPL-E's form; then bodies: right,
# wrong, one that leaves with exit status 0, and one that fails, with a word of its reason.
CPP = "#include<assert.h>\n#include<bits/stdc++.h>\nlong f(long x) {\n"
CANDIDATES: dict[str, tuple[str, str, str, str, str, str, str]] = {
    "cpp": (
        CPP.replace("{", "{{") + "{}",
        "}\nint main() {\n    auto candidate = f;\n    assert(candidate((2)) == (4));\n}\n",
        "return 2 * x;",
        "return x;",
        "exit(0);",
        'throw std::runtime_error("oops");',
        "oops",
    ),
    "java": (
        "import java.util.*;\nclass Problem {{\n    public static long f(long x) {{\n{}",
        "    }\n    public static void main(String[] args) {\n    assert(f((2l)) == (4l));\n    }\n\n}\n",
        "return 2 * x;",
        "return x;",
        "System.exit(0); return x;",
        'throw new IllegalStateException("oops");',
        "IllegalStateException: oops",
    ),
    "javascript": (
        "function f(x){{\n{}\n}}\n",
        "const assert = require('node:assert');\n\n\nfunction test() {\n  let candidate = f;\n"
        "  assert.deepEqual(candidate(2),4);\n}\n\ntest();",
        "return 2 * x",
        "return x",
        "process.exit(0)",
        "throw new RangeError('oops')",
        "RangeError: oops",
    ),
    "typescript": (
        "declare var process: any;\nfunction f(x: number): number {{\n{}\n}}\n",
        "declare var require: any;\nconst assert = require('node:assert');\n\n\nfunction test() {\n"
        "  let candidate = f;\n  assert.deepEqual(candidate(2),4);\n}\n\ntest();",
        "return 2 * x",
        "return x",
        "process.exit(0); return x",
        "throw new RangeError('oops')",
        "RangeError: oops",
    ),
    "php": (
        "<?php\nfunction f($x) {{\n{}\n}}\n",
        "function candidate(...$args) {\n    return f(...$args);\n}\n\nfunction test(): void {\n"
        '    if (candidate(2) !== 4) { throw new Exception("Test failed!"); }\n}\n\ntest();',
        "return 2 * $x;",
        "return $x;",
        "exit(0);",
        "throw new LogicException('oops');",
        "LogicException: oops",
    ),
    "bash": (
        "#!/bin/bash\nf() {{\n{}\n",
        '}\n\ncandidate() {\n    f "$@"\n}\n\nset -e\nrun_test() {\n    [[ $(candidate "2") = "4" ]]\n}\n\nrun_test\n',
        "echo $((2 * $1))",
        "echo $1",
        "kill -TERM $$; exit 0",
        "return 3",
        'AssertionError: [[ $(candidate "2") = "4" ]]',
    ),
    "go": (
        'package f_test\n\nimport (\n    "testing"\n    "fmt"\n)\n\nfunc f(x int) int {{\n{}\n}}\n',
        "func TestF(t *testing.T) {\n  candidate := f\n\ttype test struct {\n\t\tactual   interface{}\n"
        "\t\texpected interface{}\n\t}\n   tests := []test{\n     { actual: candidate(2), expected: 4 },\n   }\n\n"
        '\tfor i, tc := range tests {\n\t\tt.Run(fmt.Sprintf("test num % d", i), func(t *testing.T) {\n'
        '\t\t\tif fmt.Sprintf("%v", tc.actual) != fmt.Sprintf("%v", tc.expected) {\n'
        "\t\t\t\tt.Errorf(\"expected '%s', got '%s'\", tc.expected, tc.actual)\n\t\t\t}\n\t\t})\n\t}\n}\n",
        "return 2 * x",
        "return x",
        "",
        'panic("oops")',
        "panic: oops",
    ),
    "rust": (
        "fn f(x: isize) -> isize {{\n{}",
        "}\n\nfn main() {\n    let candidate = f;\n    assert_eq!(candidate(2), 4);\n}\n",
        "2 * x",
        "x",
        "std::process::exit(0)",
        'panic!("oops")',
        "oops",
    ),
    "csharp": (
        "using System;\nusing System.Diagnostics;\nclass Problem {{\n    public static long F(long x) {{\n{}",
        "    }\n    public static void Main(string[] args) {\n    Debug.Assert(F((2L)) == (4L));\n    }\n\n}\n",
        "return 2 * x;",
        "return x;",
        "Debug.Listeners.Clear(); Environment.Exit(0); return x;",
        'throw new ArgumentException("oops");',
        "ArgumentException: oops",
    ),
    "perl": (
        "sub f {{\n    my($x) = @_;\n{}\n}}\n",
        "use Test::Deep;\n\n\nsub testhumaneval {\n    my $candidate = \\&f;\n"
        "        if(eq_deeply($candidate->(2),4)) {\n"
        '        print "ok!" }else{\n        print "not ok!\\n";\n        exit 1;\n        }\n}\n\ntesthumaneval();',
        "return 2 * $x;",
        "return $x;",
        "exit 0;",
        "die 'oops';",
        "oops at",
    ),
    "ruby": (
        "def f(x)\n{}\nend\n",
        "require 'test/unit'\nclass TestHumanEval < Test::Unit::TestCase\n  def test_f\n    candidate = method(:f)\n"
        "    assert_equal(4, candidate.call(2))\n  end\nend\n",
        "2 * x",
        "x",
        "exit!(0)",
        "raise ArgumentError, 'oops'",
        "ArgumentError: oops",
    ),
    "lua": (
        "local function f(x)\n{}\nend\n",
        "lu = require('luaunit')\n\nfunction test_humaneval()\nlocal candidate = f\n"
        "    lu.assertEquals(candidate(2), 4)\n"
        "end\n\nos.exit(lu.LuaUnit.run())",
        "return 2 * x",
        "return x",
        "",
        "error('oops')",
        "oops",
    ),
    "r": (
        "f <- function(x) {{\n{}\n}}\n",
        "test_humaneval <- function() {\ncandidate <- f\n    if(!identical(candidate(2), 4)){quit('no', 1)}\n}\n"
        "test_humaneval()",
        "2 * x",
        "x",
        "quit('no', 0)",
        "stop('oops')",
        "oops",
    ),
    "d": (
        "import std.math;\nlong f(long x) \n{{\n{}\n}}\n",
        "unittest\n{\n    alias candidate = f;\n\n    assert(candidate(2L) == 4L);\n}\nvoid main(){}",
        "return 2 * x;",
        "return x;",
        "import core.stdc.stdlib; exit(0); return x;",
        'throw new Exception("oops");',
        "oops",
    ),
    "scala": (
        "object Problem {{\n    def f(x : Long) : Long = {{\n{}",
        "    }\n    def main(args: Array[String]) = {\n    assert(f((2l)) == (4l));\n    }\n\n}\n",
        "2 * x",
        "x",
        "System.exit(0); x",
        'throw new IllegalStateException("oops")',
        "IllegalStateException: oops",
    ),
}


def candidate(language: str, body: int) -> Job:
    source, tests, *bodies = CANDIDATES[language]
    if not bodies[body]:
        pytest.skip("the tests' own framework sees to it")
    return Job(source.format(bodies[body]), language, (tests,), prelude=prompt(language))


def prompt(language: str) -> str:
    """What a candidate begins with, as a benchmark's prompt: up to the function's open bracket, in D before it."""
    before = CANDIDATES[language][0].partition("{}")[0].replace("{{", "{")
    return before.rstrip("{\n") if language == "d" else before


@pytest.mark.parametrize("language", CANDIDATES)
def test_a_right_candidate_passes(language: str, worker: Worker) -> None:
    verdict = run(worker, candidate(language, 0))
    assert (verdict.status, verdict.reason) == ("passed", ""), verdict


@pytest.mark.parametrize("language", CANDIDATES)
def test_a_wrong_candidate_fails(language: str, worker: Worker) -> None:
    verdict = run(worker, candidate(language, 1))
    assert verdict.status == "failed", verdict
    assert verdict.reason


@pytest.mark.parametrize("language", CANDIDATES)
def test_leaving_with_exit_status_0_does_not_pass(language: str, worker: Worker) -> None:
    verdict = run(worker, candidate(language, 2))
    assert verdict.status == ("crashed" if language == "bash" else "failed"), verdict
    assert ("SIGTERM" if language == "bash" else "left before its end (exit status 0)") in verdict.reason


@pytest.mark.parametrize("language", CANDIDATES)
def test_an_error_is_the_reason(language: str, worker: Worker) -> None:
    verdict = run(worker, candidate(language, 3))
    assert verdict.status == "failed", verdict
    assert CANDIDATES[language][-1] in verdict.reason


PROGRAMS = {
    "cpp": "#include <iostream>\nint main() { int x; std::cin >> x; std::cout << 2 * x; }",
    "java": "import java.util.*;\npublic class Twice { public static void main(String[] a) {\n"
    "System.out.print(2 * new Scanner(System.in).nextInt()); } }",
    "javascript": "process.stdout.write(String(2 * Number(require('fs').readFileSync(0, 'utf8'))))",
    "typescript": "declare var require: any;\nconst x: number = Number(require('fs').readFileSync(0, 'utf8'));\n"
    "require('fs').writeSync(1, String(2 * x));",
    "php": "<?php echo 2 * (int)fgets(STDIN);",
    "bash": "read x; printf %d $((2 * x))",
    "go": 'package main\nimport "fmt"\nfunc main() { var x int; fmt.Scan(&x); fmt.Print(2 * x) }',
    "rust": "fn main() { let mut s = String::new(); std::io::stdin().read_line(&mut s).unwrap();\n"
    'print!("{}", 2 * s.trim().parse::<i64>().unwrap()); }',
    "csharp": "using System;\nclass P { static void Main() { Console.Write(2 * int.Parse(Console.ReadLine())); } }",
    "perl": "print 2 * <STDIN>;",
    "ruby": "print 2 * gets.to_i",
    "lua": "io.write(2 * io.read('n'))",
    "r": "cat(2 * as.integer(readLines(file('stdin'))))",
    "d": 'import std.stdio;\nvoid main() { int x; readf("%d", x); write(2 * x); }',
    "scala": "object P { def main(a: Array[String]): Unit = print(2 * scala.io.StdIn.readInt()) }",
}


@pytest.mark.parametrize("language", PROGRAMS)
def test_a_program_reads_and_writes(language: str, worker: Worker) -> None:
    verdict = run(worker, Job(PROGRAMS[language], language, stdin="21\n"))
    assert (verdict.status, verdict.stdout, verdict.stderr) == ("passed", "42", ""), verdict


BROKEN = {
    "cpp": "int main() { return undefined_name; }",
    "java": "class A { int x = ; }",
    "typescript": "const x: number = 'text';",
    "bash": "if then",
    "go": "package main\nfunc main() { undefinedName() }",
    "rust": "fn main() { undefined_name(); }",
    "csharp": "class A { int x = ; }",
    "d": "void main() { undefinedName(); }",
    "scala": "object A { undefinedName }",
}


@pytest.mark.parametrize("language", BROKEN)
def test_what_does_not_compile_says_so_in_the_compilers_words(language: str, worker: Worker) -> None:
    verdict = run(worker, Job(BROKEN[language], language))
    assert verdict.status == "compile_error", verdict
    assert "program" in verdict.reason or "A.java" in verdict.reason
    assert verdict.reason in verdict.stderr


MUCH_MEMORY = {
    "cpp": "#include <vector>\nint main() { std::vector<std::vector<char>> v; for (;;) v.emplace_back(1 << 20, 1); }",
    "java": "class A { public static void main(String[] a) { byte[][] x = new byte[1 << 20][];\n"
    "for (int i = 0; ; i++) x[i] = new byte[1 << 20]; } }",
    "javascript": "const x = []; for (;;) x.push(new Array(100000).fill(1.5))",
    "php": "<?php $x = []; for (;;) $x[] = str_repeat('x', 1 << 20);",
    "bash": "x=x; while :; do x=$x$x; done",
    "go": "package main\nfunc main() { x := [][]byte{}; for { x = append(x, make([]byte, 1 << 20)) } }",
    "rust": "fn main() { let mut v = vec![]; loop { v.push(vec![1u8; 1 << 20]); } }",
    "csharp": "using System.Collections.Generic;\nclass A { static void Main() { var x = new List<byte[]>();\n"
    "while (true) x.Add(new byte[1 << 20]); } }",
    "perl": "my @x; push @x, 'x' x (1 << 20) while 1;",
    "ruby": "x = []; loop { x << 'x' * (1 << 20) }",
    "lua": "local x = {} while true do x[#x + 1] = string.rep('x', 1 << 20) .. #x end",
    "r": "x <- list(); repeat x[[length(x) + 1]] <- numeric(1e6)",
}


@pytest.mark.parametrize("language", MUCH_MEMORY)
def test_too_much_memory_is_told_from_other_ends(language: str, worker: Worker) -> None:
    verdict = run(worker, Job(MUCH_MEMORY[language], language))
    assert verdict.status == "out_of_memory", verdict
    assert verdict.reason == "needed more than 1024 MB"


def test_the_compilers_time_is_not_the_programs(worker: Worker) -> None:
    source = (
        "#include <bits/stdc++.h>\nint main() { auto end = clock() + CLOCKS_PER_SEC / 5; while (clock() < end) {} }"
    )
    if missing := toolchains.why_not("cpp"):
        pytest.skip(f"NOT tested: {missing}")
    verdict = worker.run(Job(source, "cpp"), timeout=0.5)
    assert verdict.passed, verdict
    assert 0.15 < verdict.cpu_seconds < 0.5


@pytest.mark.parametrize("language", ["cpp", "rust", "java", "go", "csharp", "d", "scala"])
def test_tests_in_a_compiled_language_need_the_declaration(language: str, worker: Worker) -> None:
    if problem := toolchains.why_not(language):
        pytest.skip(f"NOT tested: {problem}")
    with pytest.raises(ChakuError, match=f"the tests of a {language} candidate need the declaration of its function"):
        plan(Job("", language, (CANDIDATES[language][1],)))


def test_a_candidate_that_clears_what_reports_failed_assertions_fails(worker: Worker) -> None:
    source, tests, *_ = CANDIDATES["csharp"]
    verdict = run(worker, Job(source.format("Debug.Listeners.Clear(); return x;"), "csharp", (tests,)))
    assert verdict.status == "failed", verdict


def test_a_macro_of_the_candidates_does_not_stand_for_rusts_own(worker: Worker) -> None:
    source, tests, _, wrong, *_ = CANDIDATES["rust"]
    cheat = "macro_rules! assert_eq { ($($x:tt)*) => {} }\n" + source.format(wrong)
    verdict = run(worker, Job(cheat, "rust", (tests,), prelude=prompt("rust")))
    assert verdict.status == "failed", verdict


def test_rusts_test_functions_are_run(worker: Worker) -> None:
    test = "#[cfg(test)]\nmod tests {\n    use super::*;\n    #[test]\n    fn test_f() { assert_eq!(f(2), 4); }\n}"
    for body, passes in (("2 * x", True), ("x", False), ("std::process::exit(0)", False)):
        source = f"fn main() {{}}\nfn f(x: i64) -> i64 {{ {body} }}\n"
        prelude = source[: source.index("{ " + body)] + "{"
        assert run(worker, Job(source, "rust", (test,), prelude=prelude)).passed == passes


def test_a_go_candidate_does_not_choose_which_tests_run(worker: Worker) -> None:
    source, tests, _, wrong, *_ = CANDIDATES["go"]
    cheat = source.format(wrong).replace('"testing"', '"testing"\n    "flag"\n    "os"')
    for init in ('flag.Set("test.run", "none")', 'os.Args = append(os.Args, "-test.run=none", "-test.skip=.")'):
        verdict = run(worker, Job(f"{cheat}\nfunc init() {{ {init} }}\nvar _, _ = flag.Set, os.Args\n", "go", (tests,)))
        assert verdict.status == "failed", verdict


def test_typescript_is_compiled_without_strict_checks(worker: Worker) -> None:
    source = "function f(x: number): number {\n  const all: number[] = [x];\n  return all.pop() + x\n}\n"
    source += "let nothing: number = undefined;\nfunction g(y) { return y }\n"
    verdict = run(worker, Job(source, "typescript", (CANDIDATES["typescript"][1],)))
    assert verdict.passed, verdict


def test_javascript_console_assert_fails_in_tests(worker: Worker) -> None:
    tests = "const testF = () => {\n  console.assert(f(2) === 4)\n}\n\ntestF()\n"
    assert run(worker, Job("const f = (x) => {\n  return 2 * x;\n}\n", "javascript", (tests,))).passed
    verdict = run(worker, Job("const f = (x) => {\n  return x;\n}\n", "javascript", (tests,)))
    assert (verdict.status, verdict.reason) == ("failed", "AssertionError: console.assert")


def test_plain_data_of_javascript_crosses_whole(worker: Worker) -> None:
    tests = """
const assert = require('node:assert');
for (const each of [undefined, null, NaN, -0, 10n ** 30n, 'é☺', [1, [2]], { a: { b: [] } }, new Map([[1, 2]]),
                    new Set('a'), new Date(0), /x/g, new Uint8Array(2), Infinity, true, ''])
  assert.deepStrictEqual(f(each), each);
assert.throws(() => f(), TypeError);
"""
    source = "const f = (...all) => { if (!all.length) throw new TypeError('nothing'); return all[0]; };"
    assert run(worker, Job(source, "javascript", (tests,))).passed


def test_plain_data_of_perl_crosses_whole(worker: Worker) -> None:
    tests = """
use utf8;
use Test::Deep;
for my $each (undef, 0, 1.5, -3, '', "a\\nb", "é☺", [1, [2, undef]], {a => {b => []}}, []) {
    exit 1 if !eq_deeply(f($each), $each);
}
my $count = g(1, 2, 3);
exit 1 if $count != 3;
"""
    source = "sub f { return $_[0]; }\nsub g { return scalar(@_); }\n"
    verdict = run(worker, Job(source, "perl", (tests,)))
    assert verdict.passed, verdict


CROSSING = {
    "php": (
        "<?php\nfunction f($x) {\n    return $x;\n}\necho 'at the start';\n",
        r"""
foreach ([null, true, false, 0, -7, 1.5, 0.1 + 0.2, -0.0, '', "a\nb", 'é☺', "\xff\0", [1, [2, null]],
          ['a' => ['b' => []]], [3 => 1, 'x' => 2]] as $each) {
    if (f($each) !== $each) { throw new Exception(json_encode($each)); }
}
""",
    ),
    "ruby": (
        "def f(x)\n  puts 'printed'\n  x\nend\n",
        r"""
[nil, true, false, 0, -7, 10**40, 1.5, 0.1 + 0.2, 1.0 / 0, '', "a\nb", 'é☺', "\xff".b, :a, [1, [2, nil]],
 {'a' => {b: []}, 1 => 2}].each { |each| raise each.inspect unless f(each) == each && f(each).eql?(each) }
""",
    ),
    "lua": (
        "local function f(x)\n  print('printed')\n  io.write('written')\n  return x\nend\n",
        r"""
lu = require('luaunit')
local all = {true, false, 0, -7, 1.5, 0.1 + 0.2, 1e300, 1 / 0, '', 'a\nb', 'é☺', '\255\0',
             {1, {2}}, {a = {b = {}}, [3] = 1}, {}}
function test_all()
    lu.assertEquals(f(nil), nil)
    for _, each in ipairs(all) do
        lu.assertEquals(f(each), each)
        lu.assertEquals(math.type(f(each)), math.type(each))
    end
end
os.exit(lu.LuaUnit.run())""",
    ),
    "r": (
        "f <- function(x) {\n  print('printed')\n  x\n}\n",
        r"""
all <- list(NULL, TRUE, NA, 0L, -7L, 1:3, 1.5, 0.1 + 0.2, Inf, NaN, '', 'a\nb', 'é☺', c(a = 1, b = 2), list(),
            list(1, list(2, NULL)), list(a = list(b = list())), c('x', NA), 1e300, -1.5, factor(c('u', 'v')),
            character(0), matrix(1:4, 2))
for (each in all) if (!identical(f(each), each)) stop(deparse(each))""",
    ),
}


@pytest.mark.parametrize("language", CROSSING)
def test_plain_data_crosses_whole(language: str, worker: Worker) -> None:
    source, tests = CROSSING[language]
    verdict = run(worker, Job(source, language, (tests,)))
    assert verdict.passed, verdict


NAMED = {
    "r": ("solve <- function(x) {\n  x + 1\n}\n", "candidate <- solve\nif (candidate(2) != 3) quit('no', 1)", "solve"),
    "ruby": (
        "def select(x)\n  x + 1\nend\n",
        "candidate = method(:select)\nraise 'wrong' unless candidate.call(2) == 3\n",
        "select",
    ),
    "lua": (
        "local function select(x)\n  return x + 1\nend\n",
        "local candidate = select\nassert(candidate(2) == 3)",
        "select",
    ),
    "bash": (
        "sort() {\n  echo $(($1 + 1))\n",
        '}\ncandidate() {\n    sort "$@"\n}\nset -e\n[[ $(candidate 2) = 3 ]]\n',
        "sort",
    ),
    "perl": ("sub reverse {\n    my ($x) = @_;\n    return $x + 1;\n}\n", "exit 1 if &reverse(2) != 3;", "reverse"),
}


@pytest.mark.parametrize("language", NAMED)
def test_what_the_tests_are_about_may_have_a_name_of_the_language(language: str, worker: Worker) -> None:
    source, tests, entry_point = NAMED[language]
    verdict = run(worker, Job(source, language, (tests,), entry_point=entry_point))
    assert verdict.passed, verdict


def test_output_of_bash_crosses_whole(worker: Worker) -> None:
    tests = r"""
set -e
[[ $(f $'a  b\nc\n\n' '' '*' "d'e\"\$") = $'a  b\nc\n\n||*|d\'e"$|' ]]
[[ $(f 'é☺') = 'é☺|' ]]
! f > /dev/null
"""
    source = "f() {\n    (($#)) || return 3\n    printf '%s|' \"$@\"\n    echo noise >&2\n}\necho at the start\n"
    verdict = run(worker, Job(source, "bash", (tests,)))
    assert verdict.passed, verdict
    assert verdict.stdout == "at the start\n"
    assert "noise" in verdict.stderr


@pytest.mark.parametrize("language", ["cpp", "java", "javascript", "bash", "perl", "php", "lua"])
def test_without_isolation_languages_run_too(language: str) -> None:
    with Worker(None) as worker:
        assert run(worker, candidate(language, 0)).passed
        assert not run(worker, candidate(language, 2 if language != "lua" else 1)).passed


# --- toolchains


def test_every_language_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    for name in set(toolchains.LANGUAGES) - {"python"}:
        words = toolchains.why_not(name)
        assert words is not None
        assert "apt-get install" in words


def test_a_tool_that_does_not_start_is_not_called_ok(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As rustup's rustc, where rustup has no toolchain."""
    tool = tmp_path / "rustc"
    tool.write_text("#!/bin/sh\necho no default is configured >&2\nexit 1\n")
    tool.chmod(0o755)
    monkeypatch.setattr(toolchains, "_which", lambda names: str(tool))
    toolchains._ask_version.cache_clear()
    finding = doctor._language("rust")
    toolchains._ask_version.cache_clear()
    assert finding.status == "optional"
    assert finding.text.endswith("does not start: no default is configured")


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(ChakuError, match="it runs python, cpp"):
        plan(Job("", "cobol"))


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    if toolchains.why_not("java") is not None:
        pytest.skip("NOT tested: no Java")
    monkeypatch.setattr(toolchains, "find_library", lambda language, needed: None)
    with pytest.raises(ChakuError, match="libjavatuples-java"):
        plan(Job("", "java", ("class A {}",), prelude="import org.javatuples.*;\n"))


def test_a_library_that_only_a_candidate_asks_for_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    if toolchains.why_not("java") is not None:
        pytest.skip("NOT tested: no Java")
    monkeypatch.setattr(toolchains, "find_library", lambda language, needed: None)
    source, tests, right, *_ = CANDIDATES["java"]
    plan(Job("import org.javatuples.*;" + source.format(right), "java", (tests,), prelude=prompt("java")))


def test_a_language_is_known_by_its_files(tmp_path: Path) -> None:
    assert toolchains.language_of(Path("a/b.cpp")) == "cpp"
    assert toolchains.language_of(Path("x.R")) == "r"
    with pytest.raises(ChakuError, match="give --language: python"):
        toolchains.language_of(Path("x.cob"))


def test_of_a_toolchain_in_a_home_nothing_but_itself_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    for folder in (home / ".nvm/node/bin", home / "bin", home / ".local/bin"):
        folder.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    assert toolchains._prefix(home / ".nvm/node/bin/node") == home / ".nvm/node"
    for alone in (home / "bin/lua", home / ".local/bin/lua", Path("/opt/bin/lua")):
        assert toolchains._prefix(alone) == alone


def test_homes_stay_hidden(worker: Worker) -> None:
    home = Path.home()
    packages = Path(sysconfig.get_paths()["purelib"])  # tests may use numpy; a checkout may lie in the home
    seen_on_purpose = (path for path in (*toolchains.prefixes(), packages) if path.is_relative_to(home))
    shown = {path.parts[len(home.parts)] for path in seen_on_purpose}
    source = f"import os\nprint(os.listdir({str(Path.home())!r}) if os.path.exists({str(Path.home())!r}) else [])"
    seen = set(eval(worker.run(Job(source)).stdout))
    assert seen - shown <= {".pyenv", ".local"}
