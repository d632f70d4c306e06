"""What `import lesionlab` offers is frozen here: a change of this table is a line of the changelog."""

import inspect

import pytest

import lesionlab

PARAMETERS: dict[str, str] = {
    "build_network": "name * modalities regions **options",
    "check": "data * midplane=False",
    "compare": "reports out * metrics=() margins=None by=() columns=None title='Comparison'",
    "convert": "data form out * resample=False",
    "evaluate": (
        "predictions data out * protocols=('lesionlab',) split=None title='Evaluation' notice='' split_file=None "
        "workers=1"
    ),
    "import_weights": "file_or_state_dict * network **options",
    "predict": (
        "checkpoint data out * split=None save_probabilities=False overlap=None flips=None split_file=None "
        "require=() threshold=None smallest_lesion_mm3=None"
    ),
    "score": "predicted reference * spacing_mm protocol='lesionlab' labels=None",
    "split": "data out * kind='kfold' folds=5 share=0.2 sealed_share=0.0 seed=0",
    "train": "recipe data out * changes=() start_from=() store=None workers=0 stop_after=None "
    "max_time_s=None extend=False fraction=1.0 split_file=None fold=None watch=None mlflow=None",
    "tune": "checkpoint data * score='dice' thresholds smallest_lesions_mm3 split_file=None",
}
"""Public name -> its parameters; those after the star go by keyword."""

TOO_LONG = ("thresholds", "smallest_lesions_mm3")
"""Defaults that are grids of numbers are not repeated here."""


def parameters_of(function: object) -> str:
    words = []
    for one in inspect.signature(function).parameters.values():
        if one.kind is one.KEYWORD_ONLY and "*" not in words:
            words.append("*")
        default = "" if one.default is one.empty or one.name in TOO_LONG else f"={one.default!r}"
        words.append(("**" if one.kind is one.VAR_KEYWORD else "") + one.name + default)
    return " ".join(words)


def test_the_names():
    assert lesionlab.__all__ == sorted(PARAMETERS)
    assert dir(lesionlab) == lesionlab.__all__


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_parameters_of(name: str):
    function = getattr(lesionlab, name)
    assert parameters_of(function) == PARAMETERS[name]
    assert inspect.getdoc(function)


def test_no_other_name_is_there():
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        lesionlab.trian  # noqa: B018
