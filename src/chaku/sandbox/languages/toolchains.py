"""The languages that the sandbox runs: names, file extensions, tools, the tools' paths, and how to install them."""

import functools
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from chaku.errors import ChakuError, did_you_mean


@dataclass(frozen=True)
class Library:
    """A library that a language's benchmarks need besides the language. `word`: a source with this word needs it.

    The library is installed when one of `places` exists, or when the language's tool exits with status 0 for the
    arguments `check`.
    """

    word: str
    install: str
    places: tuple[str, ...] = ()
    check: tuple[str, ...] = ()


@dataclass(frozen=True)
class Language:
    """A language. `tools`: every tool that it needs, with alternative names. `install`: for Debian and Ubuntu, for
    others.

    `version`: arguments with which the last tool prints its version. `real`: arguments with which the first tool prints
    its path, for tools that are often started by a shim.
    """

    name: str
    extensions: tuple[str, ...]
    tools: tuple[tuple[str, ...], ...]
    install: tuple[str, str]
    version: tuple[str, ...] = ("--version",)
    real: tuple[str, ...] = ()
    libraries: tuple[Library, ...] = ()


JAVATUPLES = Library(
    "org.javatuples",
    "libjavatuples-java, or put javatuples-1.2.jar into /usr/local/share/java",
    places=("/usr/share/java/javatuples*.jar", "/usr/local/share/java/javatuples*.jar"),
)
TESTIFY = Library(
    "stretchr/testify",
    "golang-github-stretchr-testify-dev",
    places=("/usr/share/gocode/src/github.com/stretchr/testify",),
)
BOOST = Library("<boost/", "libboost-dev", ("/usr/include/boost/any.hpp", "/usr/local/include/boost/any.hpp"))
OPENSSL = Library("<openssl/", "libssl-dev", ("/usr/include/openssl/md5.h", "/usr/local/include/openssl/md5.h"))
TEST_DEEP = Library("Test::Deep", "libtest-deep-perl, or cpan Test::Deep", check=("-MTest::Deep", "-e", "1"))
TEST_UNIT = Library(
    "test/unit", "ruby-test-unit, or gem install test-unit", check=("-e", "require 'test/unit/version'")
)
LUAUNIT = Library("luaunit", "lua-unit, or luarocks install luaunit", check=("-e", "require 'luaunit'"))

LANGUAGES = {
    language.name: language
    for language in (
        Language("python", (".py",), (), ("", "")),
        Language(
            "cpp",
            (".cpp", ".cc", ".cxx"),
            (("g++", "c++"),),
            ("g++", "GCC from gcc.gnu.org"),
            libraries=(BOOST, OPENSSL),
        ),
        Language(
            "java",
            (".java",),
            (("java",), ("javac",)),
            ("default-jdk-headless", "a JDK from adoptium.net"),
            ("-version",),
            libraries=(JAVATUPLES,),
        ),
        Language(
            "javascript",
            (".js", ".cjs"),
            (("node", "nodejs"),),
            ("nodejs", "Node.js from nodejs.org"),
            real=("-p", "process.execPath"),
        ),
        Language(
            "typescript",
            (".ts",),
            (("node", "nodejs"), ("tsc",)),
            ("nodejs npm, then npm install -g typescript", "Node.js from nodejs.org, then npm install -g typescript"),
            real=("-p", "process.execPath"),
        ),
        Language("php", (".php",), (("php",),), ("php-cli", "PHP from php.net")),
        Language(
            "bash",
            (".sh", ".bash"),
            (("bc",), ("bash",)),
            ("bash bc", "bash and bc, which its programs calculate with"),
        ),
        Language(
            "go", (".go",), (("go",),), ("golang-go", "Go from go.dev"), ("version",), ("env", "GOROOT"), (TESTIFY,)
        ),
        Language("rust", (".rs",), (("rustc",),), ("rustc", "Rust from rustup.rs"), real=("--print", "sysroot")),
        Language("csharp", (".cs",), (("mono",), ("mcs",)), ("mono-mcs mono-runtime", "Mono from mono-project.com")),
        Language(
            "perl", (".pl",), (("perl",),), ("perl", "Perl from perl.org"), ("-e", "print $^V"), libraries=(TEST_DEEP,)
        ),
        Language("ruby", (".rb",), (("ruby",),), ("ruby", "Ruby from ruby-lang.org"), libraries=(TEST_UNIT,)),
        Language(
            "lua",
            (".lua",),
            (("lua5.4", "lua5.3", "lua"),),
            ("lua5.4", "Lua from lua.org"),
            ("-v",),
            libraries=(LUAUNIT,),
        ),
        Language("r", (".r", ".R"), (("Rscript",),), ("r-base-core", "R from r-project.org")),
        Language("d", (".d",), (("gdc", "ldc2", "dmd"),), ("gdc", "D from dlang.org")),
        Language(
            "scala", (".scala",), (("scala",), ("scalac",)), ("scala", "Scala from scala-lang.org"), ("-version",)
        ),
    )
}


def language_of(path: Path) -> str:
    """The language of a file, by its extension. Raises ChakuError for an unknown extension."""
    for language in LANGUAGES.values():
        if path.suffix in language.extensions:
            return language.name
    raise ChakuError(f"the name of {path} does not tell its language; give --language: {', '.join(LANGUAGES)}")


def find(name: str) -> Language:
    """A language by its name. Raises ChakuError for an unknown name."""
    if name not in LANGUAGES:
        near = did_you_mean(name, LANGUAGES)
        raise ChakuError(f"the sandbox has no runner for {name!r}; it runs {', '.join(LANGUAGES)}{near}")
    return LANGUAGES[name]


def why_not(language: str) -> str | None:
    """None when the language's tools are installed, else the missing tools and how to install them."""
    missing = missing_tools(language)
    return f"{language} needs {' and '.join(missing)}: {how_to_install(language)}" if missing else None


def missing_tools(language: str) -> list[str]:
    """The tools of a language that are not installed."""
    return [names[0] for names in find(language).tools if _which(names) is None]


def how_to_install(language: str) -> str:
    """The command for Debian and Ubuntu, and where to get the tools on other systems."""
    debian, others = find(language).install
    return f"apt-get install {debian} (elsewhere: {others})"


def tool(name: str) -> str:
    """The path of a tool inside the sandbox. Raises ChakuError when it is not installed."""
    for about in LANGUAGES.values():
        for names, path in zip(about.tools, _paths(about), strict=True):
            if name in names and path is not None:
                return str(path)
    raise ChakuError(f"{name} is not installed")


def library(language: str, source: str) -> str:
    """The path of the first library that a source needs; "" when the language finds its libraries itself.

    Raises ChakuError when a library is missing.
    """
    if problem := missing_library(language, source):
        raise ChakuError(f"{language} {problem}")
    needed = (wanted for wanted in find(language).libraries if wanted.word in source)
    return next((place for wanted in needed if (place := find_library(language, wanted))), "")


def missing_library(language: str, source: str) -> str:
    """The missing library that a source needs, and how to install it; empty when none is missing."""
    for wanted in find(language).libraries:
        if wanted.word in source and find_library(language, wanted) is None:
            return f"needs {wanted.word.strip('</')}: apt-get install {wanted.install}"
    return ""


def version(language: str) -> str:
    """The version that the language's last tool (its compiler, if it has one) prints; "" when not installed."""
    if language == "python":
        return f"Python {platform.python_version()}"
    return _ask_version(language)[1] if why_not(language) is None else ""


def why_it_does_not_start(language: str) -> str:
    """What an installed tool says when it cannot even print its version (rustup without a toolchain); "" if it can."""
    if language == "python" or why_not(language) is not None:
        return ""
    status, said = _ask_version(language)
    return (said or f"its exit status is {status}") if status else ""


@functools.cache
def _ask_version(language: str) -> tuple[int, str]:
    """The exit status and the first line of the last tool when it is asked for its version."""
    about = find(language)
    command = [str(_which(about.tools[-1])), *about.version]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = (done.stdout.strip() or done.stderr.strip()).splitlines()
    return done.returncode, said[0] if said else ""


@functools.cache
def prefixes() -> tuple[Path, ...]:
    """The folders or files of toolchains that the sandbox must show. Never a whole home directory."""
    found = [path for about in LANGUAGES.values() for path in _paths(about)]
    return tuple(dict.fromkeys(_prefix(path) for path in found if path is not None))


def _prefix(path: Path) -> Path:
    """The folder above `bin`; only the file when that folder holds more than the toolchain."""
    shared = (Path.home(), Path.home() / ".local", Path("/root"), Path("/home"), Path("/opt"), Path("/"))
    folder = path.parent.parent
    if path.parent.name == "bin" and not any(folder == place or folder in place.parents for place in shared):
        return folder
    return path


def _which(names: tuple[str, ...]) -> str | None:
    return next((path for name in names if (path := shutil.which(name)) is not None), None)


@functools.cache
def _real(names: tuple[str, ...], ask: tuple[str, ...] = ()) -> Path | None:
    """The file behind links and shims. Links below /usr stay: the sandbox shows Debian's /etc/alternatives too."""
    found = _which(names)
    if found is None:
        return None
    path = Path(found)
    if path.is_relative_to("/usr"):
        return path
    if ask:
        told = Path(subprocess.run([found, *ask], capture_output=True, text=True, check=False).stdout.strip())
        path = told if told.is_file() else told / "bin" / path.name
    return path.resolve()


@functools.cache
def find_library(language: str, needed: Library) -> str | None:
    """The path of a language's library; "" when the language finds it itself, None when it is missing."""
    for pattern in needed.places:
        for path in sorted(Path("/").glob(pattern.lstrip("/"))):
            return str(path)
    if needed.check:
        tool_path = _real(find(language).tools[0])
        done = subprocess.run([str(tool_path), *needed.check], capture_output=True, check=False)
        return "" if done.returncode == 0 else None
    return None


def _paths(about: Language) -> list[Path | None]:
    return [_real(names, () if number else about.real) for number, names in enumerate(about.tools)]
