"""Under which licence a dataset may be used, as its own files have it."""

import json
import tomllib
from pathlib import Path

STATED_IN = (
    ("lesionlab.toml", ("licence",)),
    ("dataset_description.json", ("License",)),
    ("dataset.json", ("licence", "license")),
)
"""File and the keys under which it may state the licence: ours, that of BIDS, those of nnU-Net and the Decathlon."""


def find_licence(folder: Path) -> str:
    """Return the licence that a dataset's folder states; empty where none of the known files does."""
    for name, keys in STATED_IN:
        try:
            text = (folder / name).read_text(encoding="utf-8")
            content = tomllib.loads(text) if name.endswith(".toml") else json.loads(text)
        except (OSError, ValueError):  # a file that is no such file says nothing about licences
            continue
        stated = [content[key] for key in keys if isinstance(content, dict) and isinstance(content.get(key), str)]
        if stated:
            return str(stated[0]).strip()
    return ""
