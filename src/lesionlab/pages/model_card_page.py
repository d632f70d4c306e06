"""The model card as people read it: one Markdown file beside the weights."""

import math
from collections.abc import Iterator, Mapping

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lesionlab.core.model_card import Figure, ModelCard
from lesionlab.core.plan import Plan
from lesionlab.core.postprocessing import Postprocessing
from lesionlab.pages.offline_page import FOLDER, number, unit_words
from lesionlab.pages.paper_table import MARKDOWN

FEW_PATIENTS = 20
"""Fewer tell little of the next one."""


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
    environment = Environment(loader=FileSystemLoader(FOLDER), undefined=StrictUndefined)
    environment.filters["md"] = _escaped
    text = environment.get_template("model_card.md").render(
        card=card,
        plan=plan,
        postprocessing=postprocessing,
        parameters=parameters,
        versions=versions,
        task=_task(plan),
        input=_input(plan),
        fingerprint=_fingerprint(plan),
        training=_training(plan, card, machine=machine, best=best),
        limits=tuple(_limits(plan, card)),
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


def _input(plan: Plan) -> str:
    wanted = _listed(plan.recipe.modalities)
    return f"{wanted}, or any of them" if plan.recipe.training.modality_dropout else wanted


def _fingerprint(plan: Plan) -> dict[str, str]:
    measured = plan.fingerprint
    if not measured.cases:
        return {}
    spacing = " × ".join(f"{mm:.3g}" for mm in measured.median_spacing_mm)
    lines = {"Median spacing after preparation": f"{spacing} mm"}
    if not plan.categories:
        lines["Median lesion volume"] = f"{measured.median_lesion_volume_ml:.3g} ml"
        lines["Axial slices"] = f"{measured.slices:,}, {measured.lesion_slices:,} of them with lesion"
    return lines


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
    if not plan.recipe.training.modality_dropout and len(plan.recipe.modalities) > 1:
        yield "It needs all its modalities: it never learned to do without one."
    if card.source and card.source.patients < FEW_PATIENTS:
        yield f"It learned from {card.source.patients} patients only."
    if card.source and len(card.source.sites) == 1:
        yield "It learned from scans of one site; those of other scanners may look foreign to it."
    fair = [result for result in card.results if not result.learned_from and not result.chosen_by]
    if not fair:
        yield "No patients that it had nothing to do with were evaluated: how well it does on new ones is not known."
    elif (most := max(result.patients for result in fair)) < FEW_PATIENTS:
        yield f"It was never evaluated on more than {most} new patients at once: the intervals tell how little that is."
    if fair and {result.data for result in fair} == {plan.layout}:
        yield "All evaluated patients are from a dataset of the kind that it learned from."
    yield "Scans with other sequences, resolutions, ages, scanners or diseases than those above were not looked at."


def _unit(figure: Figure) -> str:
    return "" if figure.unit == "1" else f" ({unit_words(figure.unit)})"


def _interval(figure: Figure) -> str:
    if math.isnan(figure.low):
        return "–"
    return f"{number(figure.low, figure.unit)} to {number(figure.high, figure.unit)}"
