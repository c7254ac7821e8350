"""Wrong candidates that know nothing of the sandbox and would pass where tests are appended to them.

The function is to double a number. What comes after the prompt leaves early with exit status 0, keeps the tests from
being compiled, is a `main` in their place, is equal to everything, or changes what compares.
"""

from dataclasses import dataclass

import pytest

from chaku.errors import ChakuError
from chaku.sandbox.languages import toolchains
from chaku.sandbox.languages.runners import plan
from chaku.sandbox.verdict import Job
from chaku.sandbox.worker import Worker


@dataclass(frozen=True)
class Form:
    """A benchmark's form. `honest`: a completion that passes."""

    language: str
    prompt: str
    honest: str
    tests: str


JAVA = Form(
    "java",
    "import java.util.*;\nclass Problem {\n    public static ArrayList<Long> f(long x) {\n",
    "return new ArrayList<>(List.of(2 * x));",
    "    }\n    public static void main(String[] args) {\n"
    "    assert(f((2l)).equals((new ArrayList<Long>(Arrays.asList((long)4l)))));\n    }\n\n}\n",
)
JAVA_X = Form(
    "java",
    "import java.util.*;\nclass Solution {\n    public List<Integer> f(int x) {\n",
    "return List.of(2 * x);\n    }\n}\n",
    "public class Main {\n    public static void main(String[] args) {\n        Solution s = new Solution();\n"
    "        if (!s.f(2).equals(Arrays.asList(4))) {\n            throw new AssertionError();\n        }\n    }\n}\n",
)
JAVA_PAIR = Form(
    "java",
    "import java.util.*;\nimport org.javatuples.*;\n"
    "class Problem {\n    public static Pair<ArrayList<Long>, Long> f(long x) {\n",
    "return Pair.with(new ArrayList<Long>() {{ add(2 * x); }}, x);",
    "    }\n    public static void main(String[] args) {\n"
    "    assert(f((2l)).equals((Pair.with(new ArrayList<Long>(Arrays.asList((long)4l)), 2l))));\n    }\n\n}\n",
)
CSHARP = Form(
    "csharp",
    "using System;\nusing System.Diagnostics;\nclass Problem {\n    public static Tuple<long, long> F(long x) {\n",
    "return Tuple.Create(x, 2 * x);",
    "    }\n    public static void Main(string[] args) {\n"
    "    Debug.Assert(F((2L)).Equals((Tuple.Create(2L, 4L))));\n    }\n\n}\n",
)
SCALA = Form(
    "scala",
    "import scala.math._\nimport scala.collection.mutable._\n"
    "object Problem {\n    def f(x : Long) : Map[Long, Long] = {\n",
    "Map(x -> 2 * x)",
    "    }\n    def main(args: Array[String]) = {\n"
    "    assert(f((2l)).equals((Map[Long, Long](2l -> 4l))));\n    }\n\n}\n",
)
SCALA_PAIR = Form(
    "scala",
    "import scala.math._\nimport scala.collection.mutable._\n"
    "object Problem {\n    def f(x : Long) : Tuple2[Map[Long, Long], Long] = {\n",
    "(new HashMap[Long, Long] { put(x, 2 * x) }, x)",
    "    }\n    def main(args: Array[String]) = {\n"
    "    assert(f((2l)).equals(((Map[Long, Long](2l -> 4l), 2l))));\n    }\n\n}\n",
)
RUST = Form(
    "rust",
    "fn f(x: String) -> isize {\n",
    "2 * x.len() as isize",
    '}\n\nfn main() {\n    let candidate = f;\n    assert_eq!(candidate(String::from("ab")), 4);\n}\n',
)
RUST_X = Form(
    "rust",
    "fn main(){}\n\nuse std::collections::HashMap;\nfn f(x:i32) -> i32{\n",
    "2 * x\n}\n",
    "#[cfg(test)]\nmod tests {\n    use super::*;\n"
    "    #[test]\n    fn test_f() {\n        assert_eq!(f(2), 4);\n    }\n}\n",
)
GO = Form(
    "go",
    'package f_test\n\nimport (\n    "testing"\n    "fmt"\n)\n\nfunc f(x int) int {\n',
    "return 2 * x\n}\n",
    "func TestF(t *testing.T) {\n  candidate := f\n\ttype test struct {\n\t\tactual   interface{}\n"
    "\t\texpected interface{}\n\t}\n   tests := []test{\n     { actual: candidate(2), expected: 4 },\n   }\n\n"
    '\tfor i, tc := range tests {\n\t\tt.Run(fmt.Sprintf("test num % d", i), func(t *testing.T) {\n'
    '\t\t\tif same := fmt.Sprintf("%v", tc.actual) == fmt.Sprintf("%v", tc.expected); same == false {\n'
    "\t\t\t\tt.Errorf(\"expected '%s', got '%s'\", tc.expected, tc.actual)\n\t\t\t}\n\t\t})\n\t}\n}\n",
)
D = Form(
    "d",
    "import std.math;\nlong f(long x) \n",
    "{\n    return 2 * x;\n}\n",
    "unittest\n{\n    alias candidate = f;\n\n    assert(candidate(2L) == 4L);\n}\nvoid main(){}",
)
CPP = Form(
    "cpp",
    "#include<assert.h>\n#include<vector>\n#include<pthread.h>\nlong f(long x) {\n",
    "return 2 * x;",
    "}\nint main() {\n    auto candidate = f;\n    assert(candidate((2)) == (4));\n}\n",
)
PHP = Form(
    "php",
    "<?php\nfunction f($x) {\n",
    "return 2 * $x;\n}\n",
    "function candidate(...$args) {\n    return f(...$args);\n}\n\nfunction test(): void {\n"
    '    if (candidate(2) !== 4) { throw new Exception("Test failed!"); }\n}\n\ntest();',
)
RUBY = Form(
    "ruby",
    "def f(x)\n",
    "[2 * x]\nend\n",
    "require 'test/unit'\nclass TestHumanEval < Test::Unit::TestCase\n  def test_f\n    candidate = method(:f)\n"
    "    assert_equal([4], candidate.call(2))\n  end\nend\n",
)
LUA = Form(
    "lua",
    "local function f(x)\n",
    "return {2 * x}\nend\n",
    "lu = require('luaunit')\n\nfunction test_humaneval()\nlocal candidate = f\n"
    "    lu.assertEquals(candidate(2), {4})\nend\n\nos.exit(lu.LuaUnit.run())",
)
R = Form(
    "r",
    "f <- function(x) {\n",
    "list(2 * x)\n}\n",
    "test_humaneval <- function() {\ncandidate <- f\n"
    "    stopifnot(isTRUE(all.equal(candidate(2), list(4))))\n}\ntest_humaneval()",
)
LEAVES = (
    'extern "C" { fn atexit(f: extern "C" fn()) -> i32; fn _exit(code: i32) -> !; }\n'
    'extern "C" fn leave() { unsafe { _exit(0) } }\n'
)
EQUALS = "public boolean equals(Object other) { return true; }"

WRONG = {
    "C++ leaves its thread": (CPP, "pthread_exit(nullptr);"),
    "Java has a main of its own": (
        JAVA,
        "return null;\n    }\n    public static void main(String[] args) {}\n}\n"
        "class Other extends Problem {\n    static void g() {",
    ),
    "Java has a class Problem with a main": (
        JAVA_X,
        "return null;\n    }\n}\nclass Problem { public static void main(String[] args) {} }\n",
    ),
    "Java returns a list that is equal to all": (JAVA, f"return new ArrayList<Long>() {{ {EQUALS} }};"),
    "Java returns a number that is equal to all": (
        JAVA_X,
        "List all = new ArrayList(); all.add(new Same()); return all;\n    }\n}\n"
        f"class Same {{ {EQUALS} public int hashCode() {{ return 35; }} }}\n",
    ),
    "Java returns a pair with a list that is equal to all": (
        JAVA_PAIR,
        f"return Pair.with(new ArrayList<Long>() {{ {EQUALS} }}, 2L);",
    ),
    "Java has a list of its own": (
        JAVA,
        "return new ArrayList<Long>();\n    }\n}\nclass ArrayList<T> extends java.util.ArrayList<T> {\n"
        f"ArrayList() {{}}\nArrayList(Collection<T> all) {{ super(all); }}\n{EQUALS}\nstatic void g() {{",
    ),
    "Java has assertions of its own": (
        JAVA,
        "return null;\n    }\n    static class Arrays { static List<Long> asList(long x) { return null; } }\n"
        "static class AssertionError extends RuntimeException {}\nstatic void g() {",
    ),
    "C# has a Main of its own": (
        CSHARP,
        "return null;\n    }\n    public static void Main(string[] args) {}\n}\n"
        "class Other : Problem {\n    static void G() {",
    ),
    "C# returns a pair that is equal to all": (
        CSHARP,
        "return new Same();\n    }\n    class Same : Tuple<long, long> {\n        public Same() : base(0, 0) {}\n"
        "        public override bool Equals(object other) { return true; }\n"
        "        public override int GetHashCode() { return 0; }\n",
    ),
    "C# has assertions of its own": (
        CSHARP,
        "return null;\n    }\n}\nclass Debug { public static void Assert(bool x) {}\nstatic void G() {",
    ),
    "Scala has a main of its own": (
        SCALA,
        "null\n    }\n    def main(args: Array[String]) = {}\n}\nobject Other {\n    import Problem._\n    def g() = {",
    ),
    "Scala returns a map that is equal to all": (
        SCALA,
        "new HashMap[Long, Long] { override def equals(other: Any) = true }",
    ),
    "Scala returns a pair with a map that is equal to all": (
        SCALA_PAIR,
        "(new HashMap[Long, Long] { override def equals(other: Any) = true }, 2L)",
    ),
    "Rust leaves its tests out": (RUST_X, "x\n}\n#[cfg(any())]\n"),
    "Rust leaves at exit": (RUST_X, f"unsafe {{ atexit(leave) }};\nx\n}}\n{LEAVES}"),
    "Rust leaves with 0": (RUST_X, "std::process::exit(0)\n}\n"),
    "Rust has numbers of its own": (
        RUST,
        "isize\n}\n#[derive(Debug, Clone, Copy)]\n#[allow(non_camel_case_types)]\nstruct isize;\n"
        "impl PartialEq<i32> for isize { fn eq(&self, _: &i32) -> bool { true } }\n"
        "fn g() {",
    ),
    "Go has a false of its own": (GO, "return x\n}\nconst false = 1 == 1\n"),
    "Go has tests of its own": (GO, "return x\n}\nfunc TestMain(m *testing.M) { fmt.Println(m) }\n"),
    "D leaves its tests out": (D, "{\n    return x;\n}\nversion(none)\n"),
    "D has a tester of its own": (
        D,
        "{\n    return x;\n}\nimport core.runtime;\nshared static this() { Runtime.moduleUnitTester = () => true; }\n",
    ),
    "D goes on when an assertion fails": (
        D,
        "{\n    return x;\n}\nimport core.exception;\n"
        "shared static this() { assertHandler = function(string file, size_t line, string text) nothrow {}; }\n",
    ),
    "PHP knows the tests": (
        PHP,
        "global $chaku_tests; foreach (get_defined_functions()['user'] as $name)\n"
        "if (str_starts_with($name, 'chaku')) touch($name(0)[1] ?? 'mark'); exit(0);\n}\n",
    ),
    "Ruby changes the comparison of lists": (
        RUBY,
        "[x]\nend\nclass Array\n  def ==(other)\n    true\n  end\nend\n",
    ),
    "Ruby changes the assertions": (
        RUBY,
        "[x]\nend\nrequire 'test/unit'\nmodule Test::Unit::Assertions\n  def assert_equal(*all)\n  end\nend\n",
    ),
    "Ruby returns what is equal to all": (
        RUBY,
        "Same.new\nend\nclass Same\n  def ==(other)\n    true\n  end\n  def to_ary\n    [4]\n  end\nend\n",
    ),
    "Lua changes the assertions": (
        LUA,
        "return {x}\nend\nrequire('luaunit').assertEquals = function() end\n",
    ),
    "Lua returns what is equal to all": (
        LUA,
        "return setmetatable({x}, {__eq = function() return true end})\nend\n",
    ),
    "Lua fails as a test that is skipped does": (LUA, "error('LuaUnit test SKIP:    ', 0)\nend\n"),
    "Lua returns what a test that succeeds early says": (LUA, "return 'f:1: LuaUnit test SUCCESS: '\nend\n"),
    "Lua leaves": (LUA, "os.exit(0)\nend\n"),
    "R changes the comparison": (
        R,
        "list(x)\n}\nunlockBinding('all.equal', baseenv())\n"
        "assign('all.equal', function(...) TRUE, envir = baseenv())\n"
        "all.equal.list <- function(...) TRUE\n",
    ),
    "R returns what is equal to all": (
        R,
        "structure(list(x), class = 'same')\n}\nall.equal.same <- function(...) TRUE\n",
    ),
}
RIGHT = {
    "Java has a helper class Problem and a comment about a class": (
        JAVA_X,
        "// makes a class of objects, and is the main( one\n        return new Problem().twice(x);\n    }\n}\n"
        "class Problem { List<Integer> twice(int x) { return new ArrayList<>() {{ add(2 * x); }}; } }\n",
    ),
    "Java has a public helper": (JAVA_X, "return Helper.f(x);\n    }\n}\n/* public class No */ class Helper {\n"
                                 "    static List<Integer> f(int x) { return List.of(2 * x); }\n}\n"),
    "Rust names its own crate": (RUST, "crate::twice(x.len())\n}\nfn twice(x: usize) -> isize {\n    2 * x as isize"),
    "Rust has attributes": (RUST_X, "twice(x)\n}\n#[inline]\nfn twice(x: i32) -> i32 { 2 * x }\n"),
    "Go has a helper": (GO, "return twice(x)\n}\nfunc twice(x int) int { return 2 * x }\n"),
    "D tests itself": (D, "{\n    return 2 * x;\n}\nunittest { assert(f(1) == 2); }\n"),
}  # fmt: skip
HONEST = {
    "Java": JAVA, "Java X": JAVA_X, "Java pair": JAVA_PAIR, "C#": CSHARP, "Scala": SCALA, "Scala pair": SCALA_PAIR,
    "Rust": RUST, "Rust X": RUST_X, "Go": GO, "D": D, "C++": CPP, "PHP": PHP, "Ruby": RUBY, "Lua": LUA, "R": R,
}  # fmt: skip


def job(form: Form, completion: str) -> Job:
    if problem := toolchains.why_not(form.language):
        pytest.skip(f"NOT tested: {problem}")
    made = Job(form.prompt + completion, form.language, (form.tests,), prelude=form.prompt)
    try:
        plan(made)
    except ChakuError as error:
        pytest.skip(f"NOT tested: {error}")
    return made


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_candidate_does_not_pass(name: str, worker: Worker) -> None:
    form, completion = WRONG[name]
    verdict = worker.run(job(form, completion), timeout=20.0)
    assert verdict.status in ("failed", "compile_error", "crashed"), verdict


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_candidate_that_looks_like_one_passes(name: str, worker: Worker) -> None:
    form, completion = RIGHT[name]
    verdict = worker.run(job(form, completion), timeout=20.0)
    assert verdict.passed, verdict


@pytest.mark.parametrize("name", HONEST)
def test_the_forms_are_right(name: str, worker: Worker) -> None:
    verdict = worker.run(job(HONEST[name], HONEST[name].honest), timeout=20.0)
    assert verdict.passed, verdict
