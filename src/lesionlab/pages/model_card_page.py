"""The model card as people read it: one Markdown file beside the weights."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lesionlab.core.case import SIZE_UNITS, DataKind
from lesionlab.core.model_card import Figure, ModelCard, Result
from lesionlab.core.plan import Plan
from lesionlab.core.postprocessing import Postprocessing
from lesionlab.pages.offline_page import FOLDER, number, unit_words
from lesionlab.pages.paper_table import MARKDOWN

FEW_PATIENTS = 20
"""Fewer tell little of the next one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """How the card speaks of images of one kind.

    Attributes:
        images: In the plural.
        devices: That make them.
        others: Of what nothing is known.
    """

    images: str
    devices: str
    others: str


WORDS: dict[DataKind, Words] = {
    "volume": Words(
        images="scans",
        devices="scanners",
        others="Scans with other sequences, resolutions, ages, scanners or diseases than those above were not looked "
        "at.",
    ),
    "picture": Words(
        images="pictures",
        devices="devices",
        others="Pictures of other devices, resolutions, patients or diseases than those above were not looked at.",
    ),
}


def render_card(
    card: ModelCard,
    *,
    plan: Plan,
    postprocessing: Postprocessing,
    parameters: int,
    versions: Mapping[str, str],
    machine: str,
    best: str,
) -> str:
    """Return the card as Markdown; what people wrote is escaped.

    Args:
        card: What was recorded.
        plan: Of the checkpoint.
        postprocessing: Of the checkpoint.
        parameters: Of the network.
        versions: Software of the training.
        machine: That it was trained on, in words.
        best: What its best validation was, in words; empty where there was none.
    """
    kind = card.source.kind if card.source else "volume"
    environment = Environment(loader=FileSystemLoader(FOLDER), undefined=StrictUndefined)
    environment.filters["md"] = _escaped
    text = environment.get_template("model_card.md").render(
        card=card,
        plan=plan,
        words=WORDS[kind],
        parameters=parameters,
        versions=versions,
        task=_task(plan),
        input=_input(plan, card),
        postprocessing=_postprocessing(plan, postprocessing, kind),
        source=_source(plan, card),
        fingerprint=_fingerprint(plan, kind),
        training=_training(plan, card, machine=machine, best=best),
        limits=tuple(_limits(plan, card)),
        dataset=_dataset,
        evaluated=_evaluated,
        number=number,
        unit=_unit,
        interval=_interval,
    )
    return text.rstrip() + "\n"


def _escaped(text: str) -> str:
    """Return text that Markdown shows as it is, on one line."""
    return " ".join(text.split()).translate(MARKDOWN)


def _task(plan: Plan) -> str:
    if plan.categories:
        return f"tells apart {_listed(plan.categories)}"
    return f"outlines {_listed(tuple(plan.regions))}"


def _listed(words: tuple[str, ...]) -> str:
    return _escaped(", ".join(words))


def _input(plan: Plan, card: ModelCard) -> str:
    """Return the modalities, and which of them were measured to be enough."""
    modalities = _listed(plan.recipe.modalities)
    if not plan.recipe.training.modality_dropout or len(plan.recipe.modalities) == 1:
        return modalities
    dice: dict[tuple[str, ...], list[float]] = {}
    for row in card.subsets:
        if len(row.modalities) < len(plan.recipe.modalities):
            dice.setdefault(row.modalities, []).append(row.mean_dice)
    if not dice:
        return f"{modalities}; how well it does with fewer was not measured (`lesionlab evaluate --modality-subsets`)"
    fewer = (f"{_listed(names)} (mean Dice {math.fsum(own) / len(own):.3f})" for names, own in dice.items())
    return f"{modalities}; with fewer: {'; '.join(fewer)}"


def _postprocessing(plan: Plan, settings: Postprocessing, kind: DataKind) -> str:
    chosen = f" ({_escaped(settings.chosen_by)})" if settings.chosen_by else ""
    if len(plan.categories) > 2:
        return "the likeliest category is predicted"
    if plan.categories:
        return f"threshold {settings.threshold:g}{chosen}"
    size = SIZE_UNITS[kind].replace("3", "³")
    return f"threshold {settings.threshold:g}, smallest lesion {settings.smallest_lesion_mm3:g} {size}{chosen}"


def _dataset(citation: str, layout: str) -> str:
    """Return what a dataset is: what it states, never what its layout was made for."""
    if citation:
        return f"{_escaped(citation)} (layout {_escaped(layout)})"
    return f"a dataset in the layout {_escaped(layout)} (no citation stated)"


def _evaluated(result: Result) -> str:
    patients = "it is not known of how many patients" if result.patients is None else f"{result.patients} patients"
    return f"{result.cases} cases{', ' if result.patients is None else ' of '}{patients}"


def _source(plan: Plan, card: ModelCard) -> dict[str, str]:
    """Return what is known of the dataset, as lines of a table."""
    if card.source is None:
        return {}
    missing = "not stated in the dataset's folder; `{}` in its lesionlab.toml can say"
    lines = {
        "Dataset": _dataset(card.source.citation, plan.layout),
        "Licence": _escaped(card.source.licence) or missing.format("licence"),
        "Patients": "not told apart" if card.source.patients is None else str(card.source.patients),
        "Cases": f"{len(plan.training_cases)} learned from, {len(plan.validation_cases)} that chose the best weights",
    }
    if card.source.sites:
        lines["Sites"] = ", ".join(f"{_escaped(site)} ({cases})" for site, cases in card.source.sites.items())
    return lines


def _fingerprint(plan: Plan, kind: DataKind) -> dict[str, str]:
    measured = plan.fingerprint
    if not measured.cases:
        return {}
    with_lesion = f"{measured.slices:,}, {measured.lesion_slices:,} of them with lesion"
    if kind == "picture":
        size = " × ".join(f"{side:g}" for side in measured.median_shape[:2])
        lines = {"Median size after preparation": f"{size} px"}
        lesion = {
            "Median lesion area": f"{1000 * measured.median_lesion_volume_ml:.3g} px",
            "Pictures": with_lesion,
        }
    else:
        spacing = " × ".join(f"{mm:.3g}" for mm in measured.median_spacing_mm)
        lines = {"Median spacing after preparation": f"{spacing} mm"}
        lesion = {"Median lesion volume": f"{measured.median_lesion_volume_ml:.3g} ml", "Axial slices": with_lesion}
    return lines if plan.categories else lines | lesion


def _training(plan: Plan, card: ModelCard, *, machine: str, best: str) -> dict[str, str]:
    settings = plan.recipe.training
    lines = {"Loss": plan.recipe.loss.name}
    if plan.total_steps:
        lines["Length"] = f"{plan.total_steps:,} steps of {settings.batch} samples, seed {settings.seed}"
    if best:
        lines["Best validation"] = best
    if plan.started_from:
        lines["Began with"] = ", ".join(plan.started_from)
    if not math.isnan(card.training_hours):
        lines["Compute"] = f"{card.training_hours:.2g} hours on {machine}"
    return lines


def _limits(plan: Plan, card: ModelCard) -> Iterator[str]:
    """Yield what a user has to know, from what was and was not measured."""
    kind = card.source.kind if card.source else "volume"
    needs_all = not plan.recipe.training.modality_dropout and len(plan.recipe.modalities) > 1
    if needs_all and kind == "volume":
        yield "It needs all its modalities: it never learned to do without one."
    if card.source and card.source.patients is None:
        yield "Of how many patients the pictures are that it learned from is not known."
    elif card.source and card.source.patients and card.source.patients < FEW_PATIENTS:
        yield f"It learned from {card.source.patients} patients only."
    if card.source and len(card.source.sites) == 1:
        words = WORDS[kind]
        yield f"It learned from {words.images} of one site; those of other {words.devices} may look foreign to it."
    fair = [result for result in card.results if not result.learned_from and not result.chosen_by]
    if not fair:
        yield "No patients that it had nothing to do with were evaluated: how well it does on new ones is not known."
    elif (most := max(result.patients or result.cases for result in fair)) < FEW_PATIENTS:
        counted = "pictures" if any(result.patients is None for result in fair) else "patients"
        yield f"It was never evaluated on more than {most} new {counted} at once: the intervals say how little that is."
    if fair and card.source:
        yield from _origin(card.source.citation, {result.citation for result in fair})
    yield WORDS[kind].others


def _origin(learned: str, evaluated: set[str]) -> Iterator[str]:
    """Yield whether what was evaluated is of another dataset, as far as the datasets themselves say."""
    if learned and evaluated == {learned}:
        yield "All evaluated cases are from the dataset that it learned from: no other was tried."
    elif not learned or "" in evaluated:
        yield "Whether the evaluated cases are from another dataset than it learned from is not stated."


def _unit(figure: Figure) -> str:
    return "" if figure.unit == "1" else f" ({unit_words(figure.unit)})"


def _interval(figure: Figure) -> str:
    if math.isnan(figure.low):
        return "–"
    return f"{number(figure.low, figure.unit)} to {number(figure.high, figure.unit)}"
