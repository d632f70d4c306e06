"""Numbers of recipes and options: every one is judged, whoever adds it."""

from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin

import pytest
from pydantic import BaseModel, ValidationError

import lesionlab.losses
import lesionlab.networks
import lesionlab.pretext
import lesionlab.transforms  # noqa: F401 - these register what recipes name
from lesionlab.core.augmentation import augmentation
from lesionlab.core.loss import loss
from lesionlab.core.network import network
from lesionlab.core.pretext import pretext
from lesionlab.core.pretraining import PretrainingRecipe
from lesionlab.core.recipe import Recipe


def name_of(part: Any) -> str:
    return str(getattr(part, "__name__", part))


def holds(annotation: Any, kinds: tuple[type, ...]) -> bool:
    """Return whether a value of one of the kinds may stand in a field, alone or in a list."""
    return annotation in kinds or any(holds(argument, kinds) for argument in get_args(annotation))


def sections(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Yield a schema and all schemas within it."""
    yield model
    for field in model.model_fields.values():
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from sections(kind)


def numeric_fields(*kinds: type) -> list[tuple[type[BaseModel], str]]:
    registered = [registry.schema(name) for registry in (network, loss, augmentation, pretext) for name in registry]
    schemas = [*sections(Recipe), *sections(PretrainingRecipe), *registered]
    return [
        (schema, name)
        for schema in schemas
        for name, field in schema.model_fields.items()
        if holds(field.annotation, kinds) and not holds(field.annotation, (bool,))
    ]


def problems(schema: type[BaseModel], name: str, value: object) -> list[str]:
    """Return what is wrong with the field alone; other fields may be missing."""
    try:
        schema.model_validate({name: value})
    except ValidationError as error:
        return [problem["msg"] for problem in error.errors() if problem["loc"][:1] == (name,)]
    return []


def shaped(schema: type[BaseModel], name: str, number: object) -> object:
    """Return a number as the field has it: alone, or as often as its list wants."""
    annotation = schema.model_fields[name].annotation
    for kind in (annotation, *get_args(annotation)):
        kind = get_args(kind)[0] if get_origin(kind) is Annotated else kind
        if get_origin(kind) is tuple:
            items = get_args(kind)
            return [number] * (2 if items[-1] is ... else len(items))
    return number


@pytest.mark.parametrize(
    ("schema", "name"), numeric_fields(int, float), ids=lambda part: getattr(part, "__name__", part)
)
def test_a_boolean_is_no_number(schema: type[BaseModel], name: str):
    assert problems(schema, name, shaped(schema, name, True))


@pytest.mark.parametrize(("schema", "name"), numeric_fields(int), ids=name_of)
def test_counts_that_no_memory_holds_are_refused(schema: type[BaseModel], name: str):
    assert problems(schema, name, shaped(schema, name, 10**22))
