"""JSON files that chaku writes and reads again: a dataclass for each, with the version of its layout."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Self

from chaku.errors import ChakuError
from chaku.files import read_json, write_json
from chaku.plain import from_plain, to_plain


@dataclass(frozen=True)
class Record:
    """The content of a JSON file. `version`: of the layout; a file without a version is older than versions, and read.

    A layout that only gains fields with default values keeps its version. `WHAT`: the file in words, for errors.
    """

    WHAT: ClassVar[str]
    version: int = field(default=1, kw_only=True)

    def plain(self) -> dict[str, Any]:
        """The JSON object. It lacks the fields that have their default value, except the version."""
        return to_plain(self, lambda field, value: field.name == "version" or value != field.default)

    def write(self, path: Path) -> None:
        """Write the file, atomically."""
        write_json(path, self.plain())

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the file. Ignores the keys that are no fields of the dataclass.

        Raises ChakuError for a file that is missing, damaged, or written by a later version of chaku.
        """
        return cls.of(read_json(path), path)

    @classmethod
    def of(cls, content: Any, path: Path) -> Self:
        """The record with the parsed content of the file `path`. Raises ChakuError as `read` does."""
        if isinstance(content, dict):
            if (version := content.get("version", 1)) not in range(1, cls.version + 1):
                raise ChakuError(f"{path} has the layout {version!r} of a later chaku: upgrade chaku to read it")
            known = {field.name for field in fields(cls)} - {"version"}
            content = {key: value for key, value in content.items() if key in known}
        try:
            return from_plain(cls, content, "its content")
        except ChakuError as error:
            raise ChakuError(f"{path} is not {cls.WHAT} ({error}); if it is damaged, remove it and run again") from None
