"""Healthy people and patients with a lesion on one side, drawn by the demo's generator: to learn symmetry from."""

import csv
import io
from pathlib import Path

import numpy as np

from lesionlab.core.metric import Spacing
from lesionlab.core.storage import write_text_atomically
from lesionlab.engine.images import write_image
from lesionlab.workflows.synthetic_patients import SITES, draw_patient, load_anatomy, state_origin, write_people

TABLE_FILE = "cases.csv"
HEALTHY, ILL = "healthy", "patient"


def make_sided_cohort(
    folder: Path, *, people: int, seed: int, spacing_mm: Spacing = (2.0, 2.0, 3.0), is_stripped: bool = False
) -> Path:
    """Write synthetic people in the layout table, healthy and ill in turns, and return the table.

    A patient has one lesion of 15 to 85 ml, in one hemisphere, bright on FLAIR, and on T1 as dark as grey matter; a
    healthy one has none. Of every three people of a kind the last is for test; two sites take turns. The same arguments
    give the same bytes, and a larger cohort contains the smaller.

    Args:
        folder: Gets ``cases.csv``, a lesionlab.toml that says that the people are synthetic, and, for each person,
            ``<id>_flair.nii.gz``, ``<id>_t1.nii.gz`` and ``<id>_mask.nii.gz``.
        people: How many.
        seed: Makes one cohort differ from another.
        spacing_mm: Voxel size; slices are axial.
        is_stripped: Whether all that is not brain is 0.

    Raises:
        OptionError: The package nilearn, which carries the template, is not installed.
        StorageError: A file could not be written whole.
    """
    anatomy = load_anatomy()

    def write(number: int) -> list[str]:
        is_ill, turn = number % 2 == 1, number // 2
        site = SITES[turn % len(SITES)]
        drawn = draw_patient(
            anatomy,
            np.random.default_rng([seed, number]),
            site=site,
            spacing_mm=spacing_mm,
            pathology="one_sided" if is_ill else "none",
            is_stripped=is_stripped,
        )
        name = f"person{number:03}"
        files = {kind: f"{name}_{kind}.nii.gz" for kind in ("flair", "t1", "mask")}
        for file, array in zip(files.values(), (drawn.flair, drawn.t1, drawn.label), strict=True):
            write_image(folder / file, array, grid=drawn.grid)
        split = "test" if turn % 3 == 2 else ""
        return [name, site.name, split, ILL if is_ill else HEALTHY, files["mask"], files["flair"], files["t1"]]

    state_origin(folder)
    rows = write_people(people, write, spacing_mm=spacing_mm)
    stream = io.StringIO(newline="")
    header = ["id", "site", "split", "category", "label", "flair", "t1"]
    csv.writer(stream, lineterminator="\n").writerows([header, *rows])
    write_text_atomically(folder / TABLE_FILE, stream.getvalue())
    return folder / TABLE_FILE
