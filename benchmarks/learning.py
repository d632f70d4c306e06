"""What a recommended recipe and a plain control learn from real slices of lower-grade glioma, patients held out.

``python benchmarks/learning.py LGG OUT`` takes about an hour on one core. LGG is the public set of Buda et al. (2019)
as ``images/*.png`` and ``masks/*.png``, its channels T1, FLAIR and T1 with contrast. A run that was stopped goes on.
"""

import json
import subprocess
import sys
from pathlib import Path
from statistics import median

from peers import RESULTS, machine

RECIPES = ("synapse_net_lgg", "dyn_unet_lgg")


def lesionlab(*words: object) -> None:
    """Run one verb."""
    subprocess.run([Path(sys.executable).with_name("lesionlab"), *map(str, words)], check=True)


def training_minutes(run: Path) -> float:
    """Return what the training takes at its median pace, however often it was stopped."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    pace = median(line["steps_per_second"] for line in lines if line.get("steps_per_second"))
    return round(max(line["step"] for line in lines) / pace / 60, 1)


def as_dataset(pictures: Path, folder: Path) -> str:
    """Say which sequences the channels are, beside links to the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("images", "masks"):
        if not (folder / part).exists():
            (folder / part).symlink_to((pictures / part).resolve())
    (folder / "lesionlab.toml").write_text('channels = ["t1", "flair", "t1ce"]\n', encoding="utf-8")
    return f"image_mask:{folder}"


def learn(recipe: str, data: str, out: Path, *, split: Path) -> dict[str, object]:
    """Train, predict the held-out patients, evaluate, and return the figures."""
    lesionlab("train", recipe, data, out / recipe, "--split-file", split, "--store", out / "store")
    held_out = ("--split", "test", "--split-file", split)
    lesionlab("predict", out / recipe, data, out / f"{recipe}_masks", *held_out)
    lesionlab("evaluate", out / f"{recipe}_masks", data, out / f"{recipe}_report", *held_out)
    summary = json.loads((out / f"{recipe}_report" / "summary.json").read_text(encoding="utf-8"))
    scores = {row["metric"]: {name: row[name] for name in ("mean", "low", "high", "n")} for row in summary["summary"]}
    return {"training_minutes": training_minutes(out / recipe), **scores}


def main() -> None:
    """Write OUT/comparison and results/learning.json."""
    pictures, out = Path(sys.argv[1]), Path(sys.argv[2])
    data, split = as_dataset(pictures, out / "data"), out / "split.csv"
    if not split.exists():
        lesionlab("split", data, split, "--kind", "holdout")
    figures = {recipe: learn(recipe, data, out, split=split) for recipe in RECIPES}
    lesionlab("compare", *(f"{recipe}={out / f'{recipe}_report'}" for recipe in RECIPES), out / "comparison")
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / "learning.json"
    file.write_text(json.dumps({"what": "held-out lower-grade glioma", **figures, **machine()}, indent=1) + "\n")
    print(file)


if __name__ == "__main__":
    main()
