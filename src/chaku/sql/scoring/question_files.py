"""Finds published questions and their databases in the folders of Spider, Spider-Syn and BIRD."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from chaku.errors import ChakuError
from chaku.files import sha256_json
from chaku.sql.schema.definition import database_file
from chaku.sql.scoring.datasets import Example, read_examples

DATABASE_FOLDERS = ("database", "databases", "dev_databases", "train_databases", "test_database", ".")
TABLES_FILES = ("tables.json", "dev_tables.json", "train_tables.json")
FILES = ("dev.json", "mini_dev*.json", "dev.jsonl")  # files of questions in a folder, the first match first


@dataclass(frozen=True)
class QuestionFile:
    """Questions, the folder of their databases (NAME/NAME.sqlite), and their tables.json if there is one."""

    path: Path
    examples: Sequence[Example]
    databases: Path
    tables: Path | None

    @property
    def name(self) -> str:
        """The names of its folder and file, as in spider/dev."""
        return f"{self.path.resolve().parent.name}/{self.path.stem}"

    @property
    def sha256(self) -> str:
        """A hash of the questions, their gold queries, and their databases' names."""
        return sha256_json([astuple(example) for example in self.examples])

    def askable(self) -> tuple[list[int], list[str]]:
        """The indices of the questions whose databases exist, and the names of the missing databases."""
        names = {example.database for example in self.examples}
        there = {name: database_file(self.databases, name).is_file() for name in sorted(names)}
        indices = [index for index, example in enumerate(self.examples) if there[example.database]]
        return indices, [name for name, is_there in there.items() if not is_there]


def find_questions(questions: Path, databases: Path | None = None, tables: Path | None = None) -> QuestionFile:
    """The questions of a file, of a folder, or of a folder of $CHAKU_BENCHMARKS ("spider").

    Searches for `databases` and `tables` if they are not given. Raises ChakuError when the file is missing, or every
    database of its questions.
    """
    path = _question_file(questions)
    examples = read_examples(path)
    names = dict.fromkeys(example.database for example in examples)
    folders = [databases] if databases else list(_database_folders(path))
    found = next((folder for folder in folders if any(database_file(folder, name).is_file() for name in names)), None)
    if found is None:
        first = next(iter(names))
        where = f"{databases} has no" if databases else f"there is no {first}/{first}.sqlite beside {path}, nor any"
        raise ChakuError(
            f"{where} database of its questions; give --databases DIR, a folder with NAME/NAME.sqlite ({first}, ...)"
        )
    if tables is None:
        beside = (folder / name for folder in (path.parent, found, found.parent) for name in TABLES_FILES)
        tables = next((file for file in beside if file.is_file()), None)
    return QuestionFile(path, examples, found, tables)


def _question_file(questions: Path) -> Path:
    benchmarks = os.environ.get("CHAKU_BENCHMARKS")
    places = [questions, *([Path(benchmarks) / questions] if benchmarks else [])]
    path = next((place for place in places if place.exists()), None)
    if path is None:
        raise ChakuError(
            f"{questions} does not exist; give a file such as spider/dev.json, or set CHAKU_BENCHMARKS to the folder "
            "that holds spider, spider-syn or bird"
        )
    if path.is_dir():
        files = [file for pattern in FILES for file in sorted(path.glob(pattern))]
        if not files:
            raise ChakuError(f"{path} has none of {', '.join(FILES)}; give the path of the file of questions")
        return files[0]
    return path


def _database_folders(path: Path) -> Iterator[Path]:
    """Folders beside the file, then in Spider's folder: Spider-Syn, Spider-DK and others use Spider's databases."""
    for parent in (path.parent, path.parent.parent / "spider", path.parent.parent):
        yield from (parent / name for name in DATABASE_FOLDERS)
