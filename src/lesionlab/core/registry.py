"""One registry for everything that is chosen by name."""

import difflib
import inspect
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, create_model, model_validator

from lesionlab.core.errors import NameUnknownError, OptionError
from lesionlab.core.numbers import spell_out_booleans
from lesionlab.core.problems import first_problem

Item = TypeVar("Item")
Registered = TypeVar("Registered")


class _Options(BaseModel):
    """What the options of every registered thing have in common."""

    model_config = ConfigDict(
        extra="forbid", arbitrary_types_allowed=True, protected_namespaces=(), allow_inf_nan=False
    )

    @model_validator(mode="before")
    @classmethod
    def _take_no_boolean_for_a_number(cls, values: object) -> object:
        return spell_out_booleans(cls, values)


class _OptionsTakingNan(_Options):
    model_config = ConfigDict(allow_inf_nan=True)


class Registry(Generic[Item]):
    """Things of one kind, by name; a thing's signature is the schema of its options.

    Entries are callables that make an `Item`: a class, or a function. Plug-ins outside this package join through
    the entry-point group ``lesionlab.<kind>s``; they are loaded when a name is looked up that is not yet known.

    Args:
        kind: What the entries are, in the singular ("network"); used in messages and for entry points.
        takes_nan: Whether an option may be NaN: what a metric gives where it is undefined.
    """

    def __init__(self, kind: str, *, takes_nan: bool = False) -> None:
        self.kind = kind
        self._takes_nan = takes_nan
        self._makers: dict[str, Callable[..., Item]] = {}

    def __call__(self, name: str) -> Callable[[Registered], Registered]:
        """Return the decorator that registers a class or function under `name`."""

        def register(maker: Registered) -> Registered:
            assert name not in self._makers, f"{self.kind} {name!r} is registered twice"
            assert callable(maker), f"{self.kind} {name!r} is not callable"
            self._makers[name] = maker
            return maker

        return register

    def __iter__(self) -> Iterator[str]:
        """Yield the registered names in alphabetical order, plug-ins included."""
        self._load_plugins()
        return iter(sorted(self._makers))

    def get(self, name: str) -> Callable[..., Item]:
        """Return the registered callable.

        Raises:
            NameUnknownError: No entry has this name; the message proposes the nearest.
        """
        if name not in self._makers:
            self._load_plugins()
        if name not in self._makers:
            raise NameUnknownError(
                f"the name of a {self.kind}",
                found=repr(name),
                where=f"{self.kind} = {name!r}",
                next_step=nearest_name(name, self._makers),
            )
        return self._makers[name]

    def build(self, name: str, /, **options: Any) -> Item:
        """Make the named thing after checking its options.

        Raises:
            NameUnknownError: No entry has this name.
            OptionError: An option is unknown, missing or of the wrong type.
        """
        return self.get(name)(**self.check(name, options))

    def check(self, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return `options` completed with defaults and brought to their declared types.

        Raises:
            NameUnknownError: No entry has this name.
            OptionError: An option is unknown, missing or of the wrong type.
        """
        schema = self.schema(name)
        try:
            checked = schema.model_validate(dict(options))
        except ValidationError as error:
            raise self._option_error(name, error) from error
        return {field: getattr(checked, field) for field in schema.model_fields}

    def schema(self, name: str) -> type[BaseModel]:
        """Return the pydantic model of the options that the named thing takes."""
        fields: dict[str, Any] = {}
        for parameter in inspect.signature(self.get(name)).parameters.values():
            default = ... if parameter.default is parameter.empty else parameter.default
            fields[parameter.name] = (parameter.annotation, default)
        return create_model(f"{name}_options", __base__=_OptionsTakingNan if self._takes_nan else _Options, **fields)

    def _option_error(self, name: str, error: ValidationError) -> OptionError:
        problem = first_problem(error)
        option = ".".join(problem.key)
        known = list(self.schema(name).model_fields)
        return OptionError(
            f"an option of {self.kind} {name!r}" if problem.is_unknown else f"{option}: {problem.wanted}",
            found=problem.found,
            where=f"{self.kind} {name!r}, option {option!r}",
            next_step=nearest_name(option, known)
            if problem.is_unknown
            else f"give {option} {'a' if problem.found == 'none' else 'another'} value",
        )

    def _load_plugins(self) -> None:
        for point in entry_points(group=f"lesionlab.{self.kind}s"):
            if point.name not in self._makers:
                point.load()


def nearest_name(name: str, known: Mapping[str, Any] | list[str]) -> str:
    """Return the advice for an unknown name: the nearest known one, or all of them."""
    close = difflib.get_close_matches(name, list(known), n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return "choose one of " + (", ".join(sorted(known)) or "(none are registered)")
