"""What turns probabilities into a mask, as tuned and saved with the weights."""

from pydantic import BaseModel, ConfigDict, Field

GIVEN = "given for the prediction"
"""How threshold and smallest lesion were chosen that a user gave with the command, not the checkpoint."""


class Postprocessing(BaseModel):
    """Threshold and smallest lesion, one for all regions.

    Attributes:
        threshold: A voxel is lesion when its probability is above this.
        smallest_lesion_mm3: Smaller 26-connected lesions are removed.
        chosen_by: How the two were chosen, for people to read.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    threshold: float = Field(default=0.5, ge=0, lt=1)
    smallest_lesion_mm3: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    chosen_by: str = "default"
