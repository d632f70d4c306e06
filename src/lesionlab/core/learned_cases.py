"""Training-set membership: recognise the cases that weights were fitted to, under any id and in any layout."""

from collections.abc import Iterable, Sequence
from functools import cache

from lesionlab.core.case import Case
from lesionlab.core.content_key import file_digest, key_of


def image_keys(case: Case) -> tuple[str, ...]:
    """Return 16 hexadecimal digits for every image of a case: its bytes, and its place in a file of several cases.

    Neither ids nor names of files and modalities count, so that a case is recognised in another layout. The number of a
    picture's channel does not count either; a file that cannot be read has no key.
    """
    digest = cache(file_digest)
    keys = []
    for modality, path in case.images.items():
        bytes_of_file, place = digest(path), case.parts.get(modality, "")
        if bytes_of_file is not None:
            keys.append(key_of([bytes_of_file, "" if place.isdigit() else place]))
    return tuple(dict.fromkeys(keys))


def keys_of(cases: Iterable[Case]) -> tuple[tuple[str, ...], ...]:
    """Return the image keys of every case, in the order of the cases."""
    return tuple(image_keys(case) for case in cases)


def recognise(cases: Sequence[Case], keys: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """Return the ids of the cases that share an image with those that the keys are of."""
    known = {key for own in keys for key in own}
    return tuple(case.id for case in cases if known and not known.isdisjoint(image_keys(case)))
