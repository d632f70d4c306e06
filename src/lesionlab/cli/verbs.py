"""One short function per verb; what a verb needs is loaded inside it, so that help is quick."""

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, UseAppendAction, arg

from lesionlab.cli.durations import read_seconds
from lesionlab.cli.made_files import name_files

Split = Literal["training", "validation", "test"]
Data = Annotated[Positional[str], arg(metavar="LAYOUT:FOLDER")]
Folder = Positional[Path]


def demo(out: Folder = Path("demo"), /, *, patients: int = 16, seed: int = 0) -> int:
    """Make synthetic patients, train on them, tune, predict held-out ones, evaluate, and name the report.

    Args:
        out: Folder for everything; finished parts are not done again.
        patients: How many synthetic patients.
        seed: Of patients and training.
    """
    from lesionlab.workflows.demo import run_demo

    return name_files(run_demo(out, patients=patients, seed=seed))


def train(
    recipe: Positional[str],
    data: Data,
    out: Folder,
    /,
    *,
    change: UseAppendAction[tuple[str, ...]] = (),
    start_from: UseAppendAction[tuple[str, ...]] = (),
    store: Path | None = None,
    workers: int = 0,
    stop_after: int | None = None,
    max_time: str | None = None,
    extend: bool = False,
    fraction: float = 1.0,
    split_file: Path | None = None,
    fold: int | None = None,
) -> int:
    """Train a network, or go on where an earlier, interrupted training ended.

    Args:
        recipe: Name of a recipe (lesionlab list recipes) or path of a TOML file.
        data: Layout and folder of the dataset.
        out: Folder for checkpoints, metrics.jsonl and TensorBoard's files.
        change: Override of the recipe, such as training.steps=500; may be repeated.
        start_from: KIND:FILE of weights to begin with as far as they fit, such as own:weights.safetensors,
            published:best.pth or, for hetero_med_seg, vssd:FILE and biformer:FILE; may be repeated.
        store: Folder for prepared cases, to share them between trainings.
        workers: Processes that prepare samples.
        stop_after: Stop at this step; the same command without it goes on.
        max_time: Stop after this time, such as 45m, 12h or 1h30m; the same command goes on.
        extend: Let more steps or epochs be asked for than the training began with.
        fraction: Share of the training patients to learn from, such as 0.1; of every category alike.
        split_file: Which case is for training, validation or test, as lesionlab split writes it.
        fold: The fold of the split file that validates.
    """
    from lesionlab.workflows.train import train as run

    trained = run(
        recipe,
        data,
        out,
        changes=change,
        start_from=start_from,
        store=store,
        workers=workers,
        stop_after=stop_after,
        max_time_s=None if max_time is None else read_seconds(max_time),
        extend=extend,
        fraction=fraction,
        split_file=split_file,
        fold=fold,
    )
    state = "finished" if trained.is_finished else "stopped, to be gone on with"
    print(f"{state} at step {trained.steps}; best validation {trained.chosen_by} {max(0.0, trained.best_score):.3f}")
    return name_files(path for path in (out / "best", out / "last", out / "metrics.jsonl") if path.exists())


def tune(checkpoint: Folder, data: Data, /, *, score: str = "dice") -> int:
    """Choose threshold and smallest lesion on the validation cases and write them into the checkpoint.

    Args:
        checkpoint: Folder of a training or checkpoint.
        data: Layout and folder of the dataset it was trained with.
        score: Metric to be highest on average (lesionlab list metrics).
    """
    from lesionlab.workflows.tune import tune as run

    tuned = run(checkpoint, data, score=score)
    chosen = tuned.postprocessing
    print(
        f"threshold {chosen.threshold:g}, smallest lesion {chosen.smallest_lesion_mm3:g} mm3: {score} {tuned.score:.3f}"
    )
    return name_files(tuned.files)


def predict(
    checkpoint: Folder,
    data: Data,
    out: Folder,
    /,
    *,
    split: Split | None = None,
    save_probabilities: bool = False,
    overlap: float | None = None,
    flips: bool | None = None,
    split_file: Path | None = None,
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
    )
    name_files(predicted.files)
    for case, reason in predicted.failures.items():
        print(f"failed: {case}: {reason}")
    return 1 if predicted.failures else 0


def evaluate(
    predictions: Folder,
    data: Data,
    out: Folder,
    /,
    *,
    protocol: str = "wmh2017",
    split: Split | None = None,
    title: str = "Evaluation",
    split_file: Path | None = None,
) -> int:
    """Score predicted masks against references and write tables and one page.

    Args:
        predictions: Folder of the masks, named as predict names them.
        data: Layout and folder of the references.
        out: Folder for the tables and the page.
        protocol: Whose rules, several separated by commas (lesionlab list protocols).
        split: Only the cases of this part.
        title: Heading of the page.
        split_file: Which case is in which part, as lesionlab split writes it.
    """
    from lesionlab.workflows.evaluate import evaluate as run

    evaluation = run(
        predictions, data, out, protocols=protocol.split(","), split=split, title=title, split_file=split_file
    )
    for one in evaluation.measures:
        print(f"{one.name:<18} {one.of or 'all':<12} {one.value:.3f} ({one.low:.3f} to {one.high:.3f}, {one.method})")
    for line in evaluation.report.summary():
        shown = f"{line.mean:.3f}" if line.n_defined else "undefined"
        print(
            f"{line.protocol:<18} {line.region:<8} {line.metric:<16} {shown} {line.unit} ({line.n_defined} of {line.n})"
        )
    return name_files(evaluation.files)


def import_weights(
    file: Positional[Path],
    out: Folder,
    /,
    *,
    network: Annotated[str, arg(name="as")],
    recipe: str,
    layout: str,
) -> int:
    """Make a checkpoint of published weights, for predict; fails when less than nine tenths fit.

    Args:
        file: The weights: .safetensors, .pt or .pth; nothing in it is executed.
        out: Folder of the checkpoint.
        network: Network that the weights are of (lesionlab list networks).
        recipe: How scans are prepared (lesionlab list recipes).
        layout: Layout whose labels the weights outline (lesionlab list layouts).
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from lesionlab.workflows.import_weights import import_checkpoint

    imported = import_checkpoint(file, out, network=network, recipe=recipe, layout_name=layout)
    coverage = imported.coverage
    table = Table("weights", "count", "first names", title=f"{coverage.fraction:.1%} of the network loaded")
    for kind in ("loaded", "missing", "unexpected", "mismatched"):
        names = getattr(coverage, kind)
        table.add_row(kind, str(len(names)), escape(", ".join(names[:3])))
    Console().print(table)
    return name_files([imported.folder])


def list_names(kind: Positional[Literal["networks", "losses", "layouts", "metrics", "protocols", "recipes"]], /) -> int:
    """Print the names of one kind of thing and what each is.

    Args:
        kind: Of what.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from lesionlab.workflows.listing import list_networks, list_registered

    if kind == "networks":
        table = Table("name", "axes", "parameters", "source", caption="parameters for two modalities and one region")
        for facts in list_networks():
            table.add_row(facts.name, f"{facts.axes}-D", f"{facts.parameters:,}", escape(facts.source))
    else:
        table = Table("name", "what")
        for name, description in list_registered(kind):
            table.add_row(name, escape(description))
    Console().print(table)
    return 0
