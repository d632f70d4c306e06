"""Training-set membership: recognise the cases that weights were fitted to, under any id and in any layout."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from pydantic import BaseModel, ConfigDict

from lesionlab.core.case import Case
from lesionlab.core.content_key import file_digest, key_of
from lesionlab.core.plan import Plan
from lesionlab.core.split import hash_case
from lesionlab.core.split_rule import name_cases


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """Which of some cases weights were fitted to or chosen by.

    Attributes:
        training: Ids of those that the weights were fitted to.
        validation: Ids of those that weights, threshold and smallest lesion were chosen by.
        is_by_image: Whether they were recognised by their images; else only their ids are the same.
    """

    training: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    is_by_image: bool = True

    def describe(self, *, total: int) -> str:
        """Return one line that says it; an empty string where there is no overlap."""
        have = "are" if self.is_by_image else "have the ids of"
        kinds = (
            (self.training, "training cases, which the weights were fitted to"),
            (self.validation, "validation cases, which weights and settings were chosen by"),
        )
        said = [f"{len(ids)} of {total} cases {have} {what}: {name_cases(ids)}" for ids, what in kinds if ids]
        return "; ".join(said)


class LearnedCases(BaseModel):
    """The training and validation cases of weights, as a note beside predictions keeps them: nobody can read the ids.

    Attributes:
        training_ids: SHA-256 of the ids of the training cases.
        validation_ids: The same of the validation cases.
        training_images: Keys of all images of the training cases; empty where the plan does not know them.
        validation_images: The same of the validation cases.
    """

    model_config = ConfigDict(frozen=True)

    training_ids: tuple[str, ...] = ()
    validation_ids: tuple[str, ...] = ()
    training_images: tuple[str, ...] = ()
    validation_images: tuple[str, ...] = ()

    @classmethod
    def of(cls, plan: Plan) -> "LearnedCases":
        """Return those of a plan."""
        return cls(
            training_ids=tuple(map(hash_case, plan.training_cases)),
            validation_ids=tuple(map(hash_case, plan.validation_cases)),
            training_images=tuple(key for own in plan.training_images for key in own),
            validation_images=tuple(key for own in plan.validation_images for key in own),
        )

    def overlap(self, cases: Sequence[Case]) -> Overlap:
        """Return which cases are among these: by their images; by their ids where no images are known."""
        if self.training_images or self.validation_images:
            return Overlap(
                training=recognise(cases, [self.training_images]), validation=recognise(cases, [self.validation_images])
            )
        kinds = (set(self.training_ids), set(self.validation_ids))
        training, validation = (tuple(case.id for case in cases if hash_case(case.id) in ids) for ids in kinds)
        return Overlap(training=training, validation=validation, is_by_image=False)
