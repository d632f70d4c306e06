"""What an encoder is given of a case."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from lesionlab.core.case import Case
from lesionlab.engine import embedder
from lesionlab.engine.embedder import Embedder


class Prepared(Exception):  # noqa: N818  # no error, but the end of what is looked at
    """Holds the case that was to be prepared."""


def test_only_the_reference_is_kept_from_an_encoder(monkeypatch: pytest.MonkeyPatch):
    """Whatever else a case has may decide how it is prepared: its brain mask, the channels of its files."""

    def prepare(case: Case, *_: object, **__: object) -> None:
        raise Prepared(case)

    monkeypatch.setattr(embedder, "prepare", prepare)
    case = Case(
        id="a", images={"t1": Path("t1")}, parts={"t1": "1"}, label=Path("mask"), further_labels=(Path("further"),),
        brain_mask=Path("brain"), group="g", site="s", split="test", category="c",
    )  # fmt: skip
    maker = Embedder.__new__(Embedder)
    maker._recipe = SimpleNamespace(preprocessing=None, modalities=("t1",))
    with pytest.raises(Prepared) as prepared:
        maker.embed(case)
    (given,) = prepared.value.args
    assert given == replace(case, label=None, further_labels=())
