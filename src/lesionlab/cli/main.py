"""The entry point: from words to a verb, from a user's error to one plain line."""

import logging
import os
import sys
from collections.abc import Callable, Sequence

import tyro

from lesionlab.cli import comparing, converting, datasets, symmetry, training, verbs
from lesionlab.core.errors import LesionlabError

DESCRIPTION = "Train, tune, predict and fairly compare networks that outline lesions in medical images."

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
    try:
        sys.exit(tyro.extras.subcommand_cli_from_dict(VERBS, prog="lesionlab", description=DESCRIPTION, args=arguments))
    except LesionlabError as error:
        if os.environ.get("LESIONLAB_DEBUG"):
            raise
        print(f"lesionlab: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("lesionlab: interrupted; the same command goes on from the last checkpoint", file=sys.stderr)
        sys.exit(130)
