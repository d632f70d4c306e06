"""Train, tune, predict and fairly compare networks that outline lesions in medical images.

The names below are the public interface; each is loaded when it is first used, so that ``import lesionlab`` is quick.
Paths may be text.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lesionlab.engine.published_weights import import_weights
    from lesionlab.workflows.build_network import build_network
    from lesionlab.workflows.check import check
    from lesionlab.workflows.compare import compare
    from lesionlab.workflows.convert import convert
    from lesionlab.workflows.evaluate import evaluate, score
    from lesionlab.workflows.predict import predict
    from lesionlab.workflows.splits import split
    from lesionlab.workflows.train import train
    from lesionlab.workflows.tune import tune

__all__ = [
    "build_network",
    "check",
    "compare",
    "convert",
    "evaluate",
    "import_weights",
    "predict",
    "score",
    "split",
    "train",
    "tune",
]

_HOMES = {
    "build_network": "lesionlab.workflows.build_network",
    "check": "lesionlab.workflows.check",
    "compare": "lesionlab.workflows.compare",
    "convert": "lesionlab.workflows.convert",
    "evaluate": "lesionlab.workflows.evaluate",
    "import_weights": "lesionlab.engine.published_weights",
    "predict": "lesionlab.workflows.predict",
    "score": "lesionlab.workflows.evaluate",
    "split": "lesionlab.workflows.splits",
    "train": "lesionlab.workflows.train",
    "tune": "lesionlab.workflows.tune",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'lesionlab' has no attribute {name!r}")
    from lesionlab.core.paths import takes_paths

    return takes_paths(getattr(importlib.import_module(_HOMES[name]), name))


def __dir__() -> list[str]:
    return __all__
