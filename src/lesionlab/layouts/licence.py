"""What a dataset is and under which licence it may be used, as its own files have it."""

from collections.abc import Mapping
from pathlib import Path

from lesionlab.core.text_files import read_json, read_toml

LICENCE_KEYS = {
    "lesionlab.toml": ("licence",),
    "dataset_description.json": ("License",),
    "dataset.json": ("licence", "license"),
}
"""File and the keys under which it may state the licence: ours, that of BIDS, those of nnU-Net and the Decathlon."""

CITATION_KEYS = {
    "lesionlab.toml": ("citation",),
    "dataset_description.json": ("ReferencesAndLinks", "HowToAcknowledge", "DatasetDOI"),
    "dataset.json": ("reference",),
}
"""The same for paper, DOI or address."""


def find_licence(folder: Path) -> str:
    """Return the licence that a dataset's folder states; empty where none of the known files does."""
    return _stated(folder, LICENCE_KEYS)


def find_citation(folder: Path) -> str:
    """Return the paper, DOI or address that a dataset's folder states; empty where none of the known files does.

    The layout of a folder is no evidence: own scans that are arranged as a challenge's are not the challenge's.
    """
    return _stated(folder, CITATION_KEYS)


def _stated(folder: Path, keys_of: Mapping[str, tuple[str, ...]]) -> str:
    for name, keys in keys_of.items():
        try:
            content = read_toml(folder / name) if name.endswith(".toml") else read_json(folder / name)
        except (OSError, ValueError):  # a file that is no such file states nothing
            continue
        values = [content.get(key) for key in keys] if isinstance(content, dict) else []
        texts = [_joined(value) for value in values]
        if any(texts):
            return next(filter(None, texts))
    return ""


def _joined(value: object) -> str:
    """Return a text, or the texts of a list, as one."""
    parts = value if isinstance(value, list) else [value]
    return "; ".join(part.strip() for part in parts if isinstance(part, str) and part.strip())
