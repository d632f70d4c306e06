"""One short function per verb; what a verb needs is loaded inside it, so that help is quick."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional, arg

from lesionlab.cli.comparing import follow_lesions
from lesionlab.cli.ignored import refuse_ignored
from lesionlab.cli.made_files import name_files
from lesionlab.cli.printing import print_table

Split = Literal["training", "validation", "test"]
Data = Annotated[Positional[str], arg(metavar="LAYOUT:FOLDER")]
Out = Annotated[Positional[Path], arg(metavar="OUT")]
CheckpointFolder = Annotated[Positional[Path], arg(metavar="CHECKPOINT")]
RecipeName = Annotated[Positional[str], arg(metavar="RECIPE")]


def demo(out: Out = Path("demo"), /, *, patients: int = 16, seed: int = 0) -> int:
    """Make synthetic patients, train on them, tune, predict held-out ones, evaluate, and name the report.

    Args:
        out: Folder for everything; finished parts are not done again.
        patients: How many synthetic patients.
        seed: Of patients and training.
    """
    from lesionlab.workflows.demo import run_demo

    return name_files(run_demo(out, patients=patients, seed=seed))


def predict(
    checkpoint: CheckpointFolder,
    data: Data,
    out: Out,
    /,
    *,
    split: Split | None = None,
    save_probabilities: bool = False,
    overlap: float | None = None,
    flips: bool | None = None,
    split_file: Path | None = None,
    require: Annotated[str, arg(metavar="MODALITY[,MODALITY]")] = "",
    threshold: float | None = None,
    smallest_lesion: Annotated[float | None, arg(metavar="MM3")] = None,
) -> int:
    """Write a mask for every case, on the scan's own grid.

    Args:
        checkpoint: Folder of a training or checkpoint.
        data: Layout and folder of the scans.
        out: Folder for the masks; finished cases are skipped.
        split: Only the cases of this part.
        save_probabilities: Also write probability maps.
        overlap: Of sliding windows, 0 to below 1; as the plan says when left out.
        flips: Average over mirrored views, slower and steadier; as the plan says when left out.
        split_file: Which case is in which part, as lesionlab split writes it.
        require: Cases without one of these modalities fail, also where the network can do without.
        threshold: A voxel above this probability is lesion, 0 to below 1; as tuned when left out.
        smallest_lesion: Remove lesions smaller than this; as tuned when left out.
    """
    from lesionlab.workflows.predict import predict as run

    predicted = run(
        checkpoint,
        data,
        out,
        split=split,
        save_probabilities=save_probabilities,
        overlap=overlap,
        flips=flips,
        split_file=split_file,
        require=tuple(name.strip() for name in require.split(",") if name.strip()),
        threshold=threshold,
        smallest_lesion_mm3=smallest_lesion,
    )
    return name_files(predicted.files, failures=predicted.failures)


def evaluate(
    predictions: Annotated[Positional[Path], arg(metavar="PREDICTIONS")],
    data: Data,
    out: Out,
    /,
    *,
    protocol: str = "lesionlab",
    split: Split | None = None,
    title: str = "Evaluation",
    split_file: Path | None = None,
    modality_subsets: bool = False,
    longitudinal: bool = False,
    change_percent: float = 25.0,
    change_mm3: float = 3.0,
    workers: int = 1,
) -> int:
    """Score predicted masks against references and write tables and one page.

    Args:
        predictions: Folder of the masks (of predict, nnU-Net, BIDS), or CSV of case,prediction; with --modality-subsets
            of a training.
        data: Layout and folder of the references.
        out: Folder for the tables and the page.
        protocol: Whose rules, several separated by commas (lesionlab list protocols).
        split: Only the cases of this part.
        title: Heading of the page.
        split_file: Which case is in which part, as lesionlab split writes it.
        modality_subsets: Instead, show a checkpoint every subset of its modalities and write the table of their Dice.
        longitudinal: Instead, follow the lesions of each patient (group) from visit to visit, in the order of the ids.
        change_percent: Least change of a lesion's volume that counts then, of its earlier volume.
        change_mm3: Least change of a lesion's volume that counts then.
        workers: Processes that score cases.
    """
    _refuse_ignored_by_evaluate(locals())
    if longitudinal:
        return follow_lesions(
            predictions, data, out, percent=change_percent, mm3=change_mm3, split=split, split_file=split_file
        )
    if modality_subsets:
        return evaluate_subsets(predictions, data, out, split=split, split_file=split_file)

    from lesionlab.workflows.evaluate import evaluate as run

    evaluation = run(
        predictions,
        data,
        out,
        protocols=protocol.split(","),
        split=split,
        title=title,
        split_file=split_file,
        workers=workers,
    )
    for one in evaluation.measures:
        print(f"{one.name:<18} {one.of or 'all':<12} {one.value:.3f} ({one.low:.3f} to {one.high:.3f}, {one.method})")
    for line in evaluation.report.summary:
        unit = "" if line.unit == "1" else f" {line.unit}"
        shown = f"{line.mean:.3f}{unit}" if line.n_defined else "undefined"
        infinite = f", {line.n_infinite} infinite" if line.n_infinite else ""
        cases = f"{line.n_defined} of {line.n}{infinite}"
        print(f"{line.protocol:<18} {line.region:<8} {line.metric:<16} {shown} ({cases})")
    return name_files(evaluation.files)


def _refuse_ignored_by_evaluate(given: Mapping[str, Any]) -> None:
    if given["longitudinal"]:
        refuse_ignored(evaluate, given, "modality_subsets", because="only without --longitudinal")
    else:
        refuse_ignored(evaluate, given, "change_percent", "change_mm3", because="only with --longitudinal")
    if given["longitudinal"] or given["modality_subsets"]:
        because = "only without --longitudinal and --modality-subsets"
        refuse_ignored(evaluate, given, "protocol", "title", "workers", because=because)


def import_weights(
    file: Annotated[Positional[Path], arg(metavar="FILE")],
    out: Out,
    /,
    *,
    network: Annotated[str, arg(name="as")],
    recipe: str,
    layout: str,
) -> int:
    """Make a checkpoint of published weights, for predict; fails when less than nine tenths fit.

    Args:
        file: The weights: .safetensors, .pt, .pth, .ckpt or .pth.tar; nothing in it is executed.
        out: Folder of the checkpoint.
        network: Network that the weights are of (lesionlab list networks).
        recipe: How scans are prepared (lesionlab list recipes).
        layout: Layout whose labels the weights outline (lesionlab list layouts).
    """
    from rich.markup import escape
    from rich.table import Table

    from lesionlab.workflows.import_weights import import_checkpoint

    imported = import_checkpoint(file, out, network=network, recipe=recipe, layout_name=layout)
    coverage = imported.coverage
    table = Table("weights", "count", "first names", title=f"{coverage.fraction:.1%} of the network loaded")
    for kind in ("loaded", "missing", "unexpected", "mismatched"):
        names = getattr(coverage, kind)
        table.add_row(kind, str(len(names)), escape(", ".join(names[:3])))
    print_table(table)
    return name_files([imported.folder])


def list_names(kind: Positional[Literal["networks", "losses", "layouts", "metrics", "protocols", "recipes"]], /) -> int:
    """Print the names of one kind of thing and what each is.

    Args:
        kind: Of what.
    """
    from rich.markup import escape
    from rich.table import Table

    from lesionlab.workflows.listing import list_networks, list_registered

    if kind == "networks":
        size = "for two modalities and one region; forward pass over 208 x 208 or 96 x 96 x 96 voxels"
        table = Table("name", "axes", "parameters", "forward", "published", "source", caption=size)
        for facts in list_networks():
            numbers = (f"{facts.axes}-D", f"{facts.parameters:,}", facts.arithmetic)
            table.add_row(facts.name, *numbers, escape(facts.published), escape(facts.source))
    else:
        table = Table("name", "what")
        for name, description in list_registered(kind):
            table.add_row(name, escape(description))
    print_table(table)
    return 0


def evaluate_subsets(checkpoint: Path, data: str, out: Path, *, split: Split | None, split_file: Path | None) -> int:
    """Print and write how well a checkpoint does with every subset of its modalities."""
    from rich.table import Table

    from lesionlab.workflows.modality_subsets import evaluate_subsets as run

    found = run(checkpoint, data, out, split=split, split_file=split_file)
    table = Table("modalities", "region", "mean Dice", "of that with all", caption=f"{found.rows[0].cases} cases")
    for row in found.rows:
        table.add_row(" + ".join(row.modalities), row.region, f"{row.mean_dice:.3f}", f"{row.retention:.0%}")
    print_table(table)
    return name_files(found.files)
