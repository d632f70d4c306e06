"""Text files and tables in whatever encoding and with whatever separator their writer chose."""

import codecs
import csv
import io
import json
import re
import tomllib
from pathlib import Path
from typing import Any

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_text(path: Path) -> str:
    """Return the text of a file in UTF-8, UTF-16 or UTF-32, with or without a byte order mark, or in Windows-1252.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no text.
    """
    return decode(path.read_bytes())


def decode(data: bytes) -> str:
    """Return the text of some bytes, as `read_text` does.

    Raises:
        ValueError: They are no text.
    """
    text = data.decode(_encoding_of(data))
    if re.search(r"[\x00-\x08\x0e-\x1f]", text):
        raise ValueError("no text but binary data")
    return text


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no TOML, or nested too deeply.
    """
    text = read_text(path)
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("values nested too deeply") from error


def read_json(path: Path) -> Any:
    """Return the content of a JSON file of any program; for lesionlab's own see `lesionlab.core.json_files`.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no JSON, or nested too deeply.
    """
    text = read_text(path)
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("values nested too deeply") from error


def read_cells(path: Path) -> list[list[str]]:
    """Return the lines of a table as cells, as `read_numbered_cells` does, without their numbers."""
    return list(read_numbered_cells(path).values())


def read_numbered_cells(path: Path) -> dict[int, list[str]]:
    """Return the lines of a table as cells without spaces around them, by line of the file, empty lines left out.

    Cells may be divided by commas, semicolons, tabs, bars, or spaces where every line has as many words, and a first
    line of Excel, ``sep=;``, says by what. Cells in quotes may go over several lines.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no text, or no table.
    """
    text = read_text(path)
    stated = re.match(r'"?sep=(.)"?\r?\n', text, re.IGNORECASE)
    first = 1 if stated else 0
    text = text[stated.end() :] if stated else text
    delimiter = stated[1] if stated else _delimiter(text)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
        lines = [(reader.line_num + first, [cell.strip() for cell in line]) for line in reader]
    except csv.Error as error:
        raise ValueError(str(error)) from error
    return {number: cells for number, cells in lines if any(cells)}


def _delimiter(text: str) -> str:
    lines = text.splitlines()
    header = re.sub(r'"[^"]*"', "", next((line for line in lines if line.strip()), ""))
    delimiter = max(",;\t|", key=header.count)
    words = {len(line.split()) for line in lines if line.strip()}
    return " " if not header.count(delimiter) and len(words) == 1 and words != {1} else delimiter


def _encoding_of(data: bytes) -> str:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return encoding
    for encoding, zeros in (("utf-16-le", data[1::2]), ("utf-16-be", data[::2])):
        if zeros.count(0) > len(zeros) / 2:
            return encoding
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return "latin-1" if any(byte in data for byte in (0x81, 0x8D, 0x8F, 0x90, 0x9D)) else "cp1252"
    return "utf-8"
