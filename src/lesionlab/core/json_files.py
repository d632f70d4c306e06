"""The JSON files that lesionlab writes and reads again, each kind judged by its schema when it is read."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from lesionlab.core.errors import LesionlabError

logger = logging.getLogger(__name__)

Content = TypeVar("Content")


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonFile(Generic[Content]):
    """A kind of JSON file; whatever is wrong with one ends in the error of this kind, on one line.

    Attributes:
        schema: Of its content: a pydantic model.
        error: What a damaged or absent one raises.
        wanted: What the file holds, as a noun phrase.
        next_step: What to do about a damaged one.
    """

    schema: type[Content]
    error: type[LesionlabError]
    wanted: str
    next_step: str

    def read(self, path: Path) -> Content:
        """Return the content of the file at `path`.

        Raises:
            LesionlabError: Of the kind's own sort; it cannot be read, is no JSON, or does not follow the schema.
        """
        return self.parse(self._read_bytes(path), where=path)

    def read_lines(self, path: Path) -> tuple[Content, ...]:
        """Return the content of every line of a file of JSON lines; raises as `read` does."""
        lines = self._read_bytes(path).splitlines()
        return tuple(self.parse(line, where=f"{path}, line {number}") for number, line in enumerate(lines, start=1))

    def read_if_sound(self, path: Path) -> Content | None:
        """Return the content of a file that can be made again; None where it is absent or, with a warning, damaged."""
        if not path.exists():
            return None
        try:
            return self.read(path)
        except LesionlabError as error:
            logger.warning("%s is damaged (%s); next: %s", path, error.found, error.next_step)
            return None

    def parse(self, data: str | bytes, *, where: str | Path) -> Content:
        """Return the content that is written in `data`, which came from `where`; raises as `read` does."""
        try:
            return TypeAdapter(self.schema).validate_json(data)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise self._refusal(f"{place}: {first['msg']}" if place else first["msg"], where=where) from error

    def _read_bytes(self, path: Path) -> bytes:
        try:
            return path.read_bytes()
        except OSError as error:
            raise self._refusal(error.strerror or str(error), where=path) from error

    def _refusal(self, found: str, *, where: str | Path) -> LesionlabError:
        return self.error(self.wanted, found=found, where=where, next_step=self.next_step)
