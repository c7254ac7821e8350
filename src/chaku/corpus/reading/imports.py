"""Find which files a file imports, by the syntax of its language: candidates for paths, the likeliest first."""

import re
from collections.abc import Callable, Iterator
from posixpath import basename, dirname, join, normpath, splitext

# One import: candidates, of which the first that is a file of the repository counts. "=" begins an exact path, "~" the
# end of a path anywhere in the repository. A last part "*.EXT" stands for all files of that folder.
Import = tuple[str, ...]

# Not the indented imports: programs put them into functions, or under TYPE_CHECKING, to avoid a cycle.
_PYTHON = re.compile(
    r"^(?:import[ \t]+([\w., \t]+)|from[ \t]+(\.*)([\w.]*)[ \t]+import[ \t]+(\([^)]*\)|[^\n#;]+))", re.M
)
_COMMENT = re.compile(r"#[^\n]*")
_JAVASCRIPT = re.compile(r"""(?:\bfrom|\bimport|\brequire)\s*\(?\s*["'](\.{1,2}(?:/[^"'\n]*)?)["']""")
_JAVA = re.compile(r"^[ \t]*import[ \t]+(static[ \t]+)?([\w.]+)(\.\*)?[ \t]*;", re.M)
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*(?:include|import)[ \t]*(?:"([^"\n]+)"|<([^>\n]+)>)', re.M)
_GO = re.compile(r'^[ \t]*import[ \t]*(?:\(([^)]*)\)|(?:[\w.]+[ \t]+)?"([^"\n]+)")', re.M)
_GO_PATH = re.compile(r'"([^"\n]+)"')
_RUST = re.compile(
    r"^[ \t]*(?:pub(?:\([^)]*\))?[ \t]+)?(?:mod[ \t]+(\w+)[ \t]*;|use[ \t]+((?:crate|self|super)(?:::\w+)+))", re.M
)
_JS_ENDINGS = (".ts", ".tsx", ".js", ".jsx", ".mjs", ".cjs", ".d.ts", ".vue")
_RUST_ROOTS = ("mod", "lib", "main")  # files whose modules lie beside them


def find_imports(text: str, path: str, language: str) -> list[Import]:
    """The imports of a file, in their order; empty for a language without known import syntax.

    `path`: of the file in its repository, with / between its parts.
    """
    finder = _FINDERS.get(language)
    return list(dict.fromkeys(finder(text, path))) if finder else []


def _python(text: str, path: str) -> Iterator[Import]:
    for modules, dots, package, names in _PYTHON.findall(text):
        if modules:
            for module in modules.split(","):
                words = module.split()
                if words:
                    yield _python_files("~", words[0].replace(".", "/"))
            continue
        folder = package.replace(".", "/")
        sign = "~"
        if dots:
            sign, above = "=", dirname(path)
            for _ in dots[1:]:
                above = dirname(above)
            folder = join(above, folder) if folder else above
        for name in _COMMENT.sub("", names).strip("()").split(","):
            if not (words := name.split()):
                continue
            inside = () if words[0] == "*" else _python_files(sign, join(folder, words[0]))
            yield (*inside, *_python_files(sign, folder)) if folder else inside


def _python_files(sign: str, module: str) -> Import:
    return tuple(f"{sign}{module}{ending}" for ending in (".py", "/__init__.py", ".pyi"))


def _javascript(text: str, path: str) -> Iterator[Import]:
    for name in _JAVASCRIPT.findall(text):
        whole = normpath(join(dirname(path), name))
        stem, ending = splitext(whole)
        # TypeScript names the .js file that it will become.
        bases = (whole, stem) if ending in (".js", ".jsx", ".mjs", ".cjs") else (whole,)
        found = [f"={whole}"] if ending else []
        found += [f"={base}{end}" for base in bases for end in _JS_ENDINGS]
        yield (*found, *(f"={whole}/index{end}" for end in _JS_ENDINGS))


def _java(text: str, path: str) -> Iterator[Import]:
    for static, name, star in _JAVA.findall(text):
        folders = name.replace(".", "/")
        if star and not static:
            yield (f"~{folders}/*.java",)
        else:
            # A static import names a member, and so may a nested class: the class is above it.
            yield (f"~{folders}.java", f"~{dirname(folders)}.java")


def _c(text: str, path: str) -> Iterator[Import]:
    for quoted, angled in _INCLUDE.findall(text):
        beside = (f"={normpath(join(dirname(path), quoted))}",) if quoted else ()
        yield (*beside, f"~{normpath(quoted or angled)}")


def _go(text: str, path: str) -> Iterator[Import]:
    for block, single in _GO.findall(text):
        for name in _GO_PATH.findall(block) if block else [single]:
            parts = name.split("/")
            if "." in parts[0] or len(parts) > 1:  # the standard library's packages have short names
                yield tuple(f"~{'/'.join(parts[start:])}/*.go" for start in range(len(parts)))


def _rust(text: str, path: str) -> Iterator[Import]:
    stem, folder = splitext(basename(path))[0], dirname(path)
    inside = folder if stem in _RUST_ROOTS else join(folder, stem)  # the folder of this file's modules
    parts = folder.split("/")
    root = "/".join(parts[: len(parts) - parts[::-1].index("src")]) if "src" in parts else folder
    for module, used in _RUST.findall(text):
        if module:
            yield _rust_files(join(inside, module))
            continue
        first, *names = used.split("::")
        base = {"crate": root, "self": inside, "super": dirname(inside)}[first]
        while names and names[0] == "super":
            base, names = dirname(base), names[1:]
        longest_first = (join(base, *names[:count]) for count in range(len(names), 0, -1))
        yield tuple(candidate for module_path in longest_first for candidate in _rust_files(module_path))


def _rust_files(module: str) -> Import:
    return f"={module}.rs", f"={module}/mod.rs"


_FINDERS: dict[str, Callable[[str, str], Iterator[Import]]] = {
    "Python": _python,
    "JavaScript": _javascript,
    "TypeScript": _javascript,
    "TSX": _javascript,
    "Java": _java,
    "C": _c,
    "C++": _c,
    "Objective-C": _c,
    "Go": _go,
    "Rust": _rust,
}
