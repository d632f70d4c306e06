"""The verbs that use how alike the two sides of a head are."""

from pathlib import Path

from tyro.conf import UseAppendAction

from lesionlab.cli.durations import read_limit
from lesionlab.cli.made_files import name_files
from lesionlab.cli.verbs import Data, Out, RecipeName, Split


def pretrain(
    recipe: RecipeName,
    data: Data,
    out: Out,
    /,
    *,
    change: UseAppendAction[tuple[str, ...]] = (),
    store: Path | None = None,
    workers: int = 0,
    max_time: str | None = None,
    stop_after: int | None = None,
    split_file: Path | None = None,
) -> int:
    """Pre-train an encoder on scans without outlines, or go on with it; a training can start from its weights.

    Args:
        recipe: Name of a recipe for pre-training (lesionlab list recipes) or path of a TOML file.
        data: Layout and folder of the dataset.
        out: Folder for checkpoints, metrics.jsonl and TensorBoard's files.
        change: Override of the recipe, such as schedule.steps=500; may be repeated.
        store: Folder for prepared cases, to share them between trainings.
        workers: Processes that prepare samples.
        max_time: Stop after this time, such as 45m, 12h or 1h30m; the same command goes on.
        stop_after: Stop at this step; the same command without it goes on.
        split_file: Which case is for training, validation or test, as lesionlab split writes it.
    """
    from lesionlab.workflows.pretrain import pretrain as run

    done = run(
        recipe,
        data,
        out,
        changes=change,
        store=store,
        workers=workers,
        stop_after=stop_after,
        max_time_s=read_limit(max_time),
        split_file=split_file,
    )
    state = "finished" if done.is_finished else "stopped, to be gone on with"
    print(f"{state} at step {done.steps}; best validation loss {done.best_loss:.3f}")
    places = [out / "best" / "weights.safetensors", out / "last", out / "metrics.jsonl"]
    return name_files([path for path in places if path.exists()])


def embed(
    data: Data,
    out: Out,
    /,
    *,
    checkpoint: Path | None = None,
    modality: str | None = None,
    split: Split | None = None,
) -> int:
    """Write how unlike the two sides of every head are: a map, a picture and a score, and vectors of an encoder.

    Args:
        data: Layout and folder of the scans.
        out: Folder for the files.
        checkpoint: Folder that lesionlab pretrain wrote; without it there are maps and their score alone.
        modality: Of the maps; the dataset's first when left out.
        split: Only the cases of this part.
    """
    from lesionlab.workflows.embed import embed as run

    embedded = run(data, out, checkpoint=checkpoint, modality=modality, split=split)
    return name_files(embedded.files, failures=embedded.failures)
