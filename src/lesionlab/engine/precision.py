"""Which arithmetic a device is good at."""

from typing import Literal

import torch
from lightning_fabric import Fabric

from lesionlab.core.errors import OptionError

Wanted = Literal["auto", "float32", "bfloat16", "float16"]


def make_fabric(wanted: Wanted) -> Fabric:
    """Return the one device that work runs on, with its arithmetic.

    Raises:
        OptionError: float16 was asked for where there is no GPU.
    """
    return Fabric(accelerator="auto", devices=1, precision=precision_of(wanted))  # type: ignore[arg-type]  # a literal


def precision_of(wanted: Wanted) -> str:
    """Return Fabric's word for an arithmetic.

    "auto" takes bfloat16 on a GPU that has it, float16 on an older one, and float32 on a CPU.

    Raises:
        OptionError: float16 was asked for where there is no GPU.
    """
    has_gpu = torch.cuda.is_available()
    if wanted == "float16" and not has_gpu:
        raise OptionError(
            "a GPU for float16",
            found="none",
            where="training.precision",
            next_step="--change training.precision=auto",
        )
    best = ("bfloat16" if torch.cuda.is_bf16_supported() else "float16") if has_gpu else "float32"
    names = {"float32": "32-true", "bfloat16": "bf16-mixed", "float16": "16-mixed"}
    return names[best if wanted == "auto" else wanted]
