"""How fast to learn when."""

import math

from lesionlab.core.plan import Plan


def learning_rate(position: int, *, warm_up: int, total: int, peak: float, final: float) -> float:
    """Return the learning rate of one step (or epoch): linear warm-up, then half a cosine.

    Args:
        position: Of the step or epoch, from 0.
        warm_up: How many rise to the peak; the last of them has it.
        total: How many there are.
        peak: The highest rate.
        final: The rate that the cosine ends at, just after the last position.
    """
    if position < warm_up:
        return peak * (position + 1) / warm_up
    share = (position - warm_up) / max(1, total - warm_up)
    return final + (peak - final) * (1 + math.cos(math.pi * min(1.0, share))) / 2


def planned_rate(plan: Plan, step: int) -> float:
    """Return the learning rate of one step of a plan, which may change with every step or with every epoch."""
    settings = plan.recipe.training
    unit = plan.steps_per_epoch if settings.schedule == "every_epoch" else 1
    total = math.ceil(plan.total_steps / unit)
    return learning_rate(
        step // unit,
        warm_up=round(settings.warm_up * total),
        total=total,
        peak=settings.learning_rate,
        final=settings.final_learning_rate,
    )
