"""The entry point: from words to a verb, from a user's error to one plain line."""

import inspect
import logging
import os
import sys
import typing
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version

import tyro

from lesionlab.cli import comparing, converting, datasets, symmetry, training, verbs
from lesionlab.core.errors import LesionlabError

DESCRIPTION = """Train, tune, predict and fairly compare networks that segment lesions in medical images.

lesionlab --version prints the installed version."""

VERBS: dict[str, Callable[..., int]] = {
    "demo": verbs.demo,
    "check": datasets.check,
    "split": datasets.split,
    "convert": converting.convert,
    "list": verbs.list_names,
    "pretrain": symmetry.pretrain,
    "train": training.train,
    "tune": training.tune,
    "predict": verbs.predict,
    "embed": symmetry.embed,
    "evaluate": verbs.evaluate,
    "compare": comparing.compare,
    "import-weights": verbs.import_weights,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one verb and exit: 0 done, 1 a user's error in one plain line, 2 wrong usage, 130 interrupted."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    for name in ("matplotlib", "PIL", "lightning_fabric", "lightning_utilities"):
        logging.getLogger(name).setLevel(logging.ERROR)
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given == ["--version"]:
        print(f"lesionlab {version('lesionlab')}")
        sys.exit(0)
    try:
        sys.exit(tyro.extras.subcommand_cli_from_dict(VERBS, prog="lesionlab", description=DESCRIPTION, args=given))
    except SystemExit as ended:
        verb = next(iter(given), "")
        if ended.code == 2 and verb in VERBS:
            print(f"usage: lesionlab {verb} {' '.join(_places(VERBS[verb]))} [OPTIONS]", file=sys.stderr)
        raise
    except LesionlabError as error:
        if os.environ.get("LESIONLAB_DEBUG"):
            raise
        print(f"lesionlab: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("lesionlab: interrupted; the same command goes on from the last checkpoint", file=sys.stderr)
        sys.exit(130)


def _places(verb: Callable[..., int]) -> Iterator[str]:
    """Yield what a verb is given by place, as its help calls it."""
    types = typing.get_type_hints(verb, include_extras=True)
    for name, parameter in inspect.signature(verb).parameters.items():
        if parameter.kind is parameter.POSITIONAL_ONLY:
            notes = getattr(types[name], "__metadata__", ())
            yield next((note.metavar for note in notes if getattr(note, "metavar", None)), name.upper())
