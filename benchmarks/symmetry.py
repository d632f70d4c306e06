"""What symmetry pre-training learns from synthetic people, and what it is worth where labels are few.

``python benchmarks/symmetry.py OUT [STEPS]`` takes about two hours on one core with the usual 200 steps. A run that
was stopped goes on.

It draws healthy people and patients with a lesion on one side, without skulls as in the publication (with them, nothing
of use is learned: scalp and skull are less alike on both sides than brains), pre-trains an encoder, and asks of unseen
people how well the likeness of their sides tells patients from the healthy: by the pre-trained encoder, by the same one
before its first step, and by the asymmetry map, which learns nothing. Then it trains classifiers with a tenth of the
labels, with three seeds each, from the encoder and from scratch.
"""

import csv
import json
import subprocess
import sys
from pathlib import Path
from statistics import mean

from peers import RESULTS, machine

from lesionlab.workflows.synthetic_sides import make_sided_cohort

PEOPLE = 240
SEEDS = (0, 1, 2)
SMALL = ('modalities=["flair"]', "preprocessing.spacing_mm=[3.2,6.4,6.4]", "preprocessing.bias_field=mirror",
         "network.options.width=12", "network.options.window=4")  # fmt: skip
PRETRAINING = (*SMALL, "size=[64,32,32]", "cut_out.share=0.1", "objectives.symmetry.weight=4", "schedule.batch=8",
               "schedule.learning_rate=2e-3", "schedule.warm_up=0.05", "schedule.validate_every=50",
               "schedule.precision=float32")  # fmt: skip
FEW_LABELS = (*SMALL, "sampling.size=[64,32,32]", "training.epochs=40", "training.batch=6",
              "training.learning_rate=5e-4", "validation.every=2", "training.precision=float32")  # fmt: skip


def lesionlab(*words: object) -> None:
    """Run one verb."""
    subprocess.run([Path(sys.executable).with_name("lesionlab"), *map(str, words)], check=True)


def changed(changes: tuple[str, ...]) -> list[str]:
    """Return overrides as words of a command."""
    return [word for change in changes for word in ("--change", change)]


def area(table: Path, data: str, report: Path) -> dict[str, float]:
    """Return the area under the curve of a table of probabilities for the people held out, with its interval."""
    lesionlab("evaluate", table, data, report, "--split", "test")
    measures = json.loads((report / "measures.json").read_text(encoding="utf-8"))["measures"]
    found = next(one for one in measures if one["name"] == "auc")
    return {name: round(found[name], 3) for name in ("value", "low", "high")}


def zero_shot(data: str, out: Path, *, encoder: Path) -> dict[str, dict[str, float]]:
    """Return how well the likeness of both sides tells patients from the healthy, with an encoder and by the map."""
    lesionlab("embed", data, out, "--checkpoint", encoder, "--modality", "flair", "--split", "test")
    with (out / "symmetry.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    highest = max(float(row["asymmetry"]) for row in rows)
    scores = {
        "encoder": {row["case"]: (1 - float(row["similarity"])) / 2 for row in rows},
        "map": {row["case"]: float(row["asymmetry"]) / highest for row in rows},
    }
    found = {}
    for name, unlike in scores.items():
        lines = ["case,probability_healthy,probability_patient"]
        lines += [f"{case},{1 - value:.9f},{value:.9f}" for case, value in unlike.items()]
        (out / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        found[name] = area(out / f"{name}.csv", data, out / f"{name}_report")
    return found


def few_labels(data: str, out: Path, *, store: Path, start: tuple[str, ...]) -> list[float]:
    """Return the areas under the curve that classifiers with a tenth of the labels reach, one per seed."""
    found = []
    for seed in SEEDS:
        run = out / str(seed)
        changes = changed((*FEW_LABELS, f"training.seed={seed}"))
        lesionlab("train", "saca_swin_classify", data, run, "--fraction", "0.1", "--store", store, *changes, *start)
        lesionlab("predict", run, data, run / "said", "--split", "test")
        found.append(area(run / "said", data, run / "report")["value"])
    return found


def main() -> None:
    """Write results/symmetry.json."""
    out, steps = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 200
    people, store = out / "people", out / "store"
    if not (people / "cases.csv").exists():
        make_sided_cohort(people, people=PEOPLE, seed=0, spacing_mm=(3.0, 3.0, 3.0), is_stripped=True)
    data, changes = f"table:{people}", changed((*PRETRAINING, f"schedule.steps={steps}"))
    lesionlab("pretrain", "pretrain_t1", data, out / "untrained", "--store", store, "--stop-after", "0", *changes)
    lesionlab("pretrain", "pretrain_t1", data, out / "encoder", "--store", store, *changes)
    lines = [json.loads(line) for line in (out / "encoder" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    minutes = sum(lines[0]["step"] / line["steps_per_second"] for line in lines) / 60
    losses = [{name: round(value, 3) for name, value in line.items() if "loss" in name} for line in lines]
    start = ("--start-from", f"own:{out / 'encoder' / 'last' / 'weights.safetensors'}")
    areas = {
        "from_scratch": few_labels(data, out / "scratch", store=store, start=()),
        "from_the_encoder": few_labels(data, out / "tuned", store=store, start=start),
    }
    result = {
        "what": "healthy and patients with a lesion on one side, synthetic, unseen",
        "steps": steps,
        "minutes": round(minutes, 1),
        "first_and_last_losses": [losses[0], losses[-1]],
        "zero_shot_untrained": zero_shot(data, out / "untrained_maps", encoder=out / "untrained" / "last"),
        "zero_shot_pretrained": zero_shot(data, out / "maps", encoder=out / "encoder" / "last"),
        "a_tenth_of_the_labels": {name: {"seeds": found, "mean": mean(found)} for name, found in areas.items()},
        **machine(),
    }
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / "symmetry.json"
    file.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(file)


if __name__ == "__main__":
    main()
