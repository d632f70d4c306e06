"""Rules about what NIfTI headers say beside the grid."""

from collections.abc import Iterator

import nibabel
import numpy as np
from nibabel.spatialimages import HeaderDataError

from lesionlab.core.grid import Grid
from lesionlab.workflows.check.finding import Finding
from lesionlab.workflows.check.scan import Scan

HEADER_TOLERANCE_MM = 0.1
"""How far a voxel's two positions in one header may differ: far above float32 rounding, far below a voxel."""

SPACING_TOLERANCE = 1e-3
"""How far two spacings in one header may differ, as a share."""

MILLIMETRES_OR_UNKNOWN = (0, 2)
"""NIfTI codes of the units that mean what nearly every program takes for granted."""

UNITS = {1: "metres", 3: "micrometres"}


def judge_transforms(scan: Scan) -> Iterator[Finding]:
    """Find headers whose two transforms, sform and qform, lead to different places, or that have neither."""
    for path, header in scan.headers.items():
        if not header["sform_code"] and not header["qform_code"]:
            yield scan.finding(
                "no-transform",
                path,
                severity="warning",
                wanted="a header that says where the voxels lie",
                found="neither sform nor qform",
                next_step="convert it again from its source: left and right are a guess until then",
            )
            continue
        distance_mm = _distance_between_forms_mm(header)
        if distance_mm > HEADER_TOLERANCE_MM:
            yield scan.finding(
                "transforms",
                path,
                severity="warning",
                wanted="sform and qform that agree",
                found=f"voxels up to {distance_mm:.3g} mm apart between the two",
                next_step="make sure that the sform is right: it is the one that counts here",
            )


def judge_spacing(scan: Scan) -> Iterator[Finding]:
    """Find headers whose voxel sizes are not those of their affine, or not in millimetres."""
    for path, header in scan.headers.items():
        stated = np.abs(np.asarray(header["pixdim"][1:4], dtype=np.float64))
        counted = np.array(scan.files[path].grid.spacing_mm)
        if not np.allclose(stated, counted, rtol=SPACING_TOLERANCE, atol=0):
            yield scan.finding(
                "voxel-size",
                path,
                severity="warning",
                wanted=f"voxel sizes as the affine has them, {_sizes(counted)} mm",
                found=f"{_sizes(stated)} in the header's pixdim",
                next_step="make sure that the affine is right: it is the one that counts here",
            )
        unit = int(header["xyzt_units"]) % 8
        if unit not in MILLIMETRES_OR_UNKNOWN:
            yield scan.finding(
                "units",
                path,
                severity="warning",
                wanted="a header in millimetres",
                found=UNITS.get(unit, f"the unknown unit {unit}"),
                next_step="convert it to millimetres: its numbers are read as such",
            )


def judge_scaling(scan: Scan) -> Iterator[Finding]:
    """Find scale factors that programs read in different ways, and masks with any scale factor."""
    for path, header in scan.headers.items():
        slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
        if slope == 0 or not np.isfinite(slope) or slope < 0:
            yield scan.finding(
                "slope",
                path,
                severity="warning",
                wanted="a scale factor above 0 (scl_slope)",
                found=f"{slope:g}",
                next_step="save the image without scaling: a void factor is read as 1 here, and otherwise elsewhere",
            )
        elif path == scan.case.label and (slope, intercept) != (1.0, 0.0):
            yield scan.finding(
                "mask-slope",
                path,
                severity="warning",
                wanted="a mask without scaling (scl_slope 1, scl_inter 0)",
                found=f"{slope:g} and {intercept:g}",
                next_step="save the mask as whole numbers: programs that leave scaling out read other labels",
            )


def judge_axes(scan: Scan) -> Iterator[Finding]:
    """Note images with further axes of length one."""
    for path, header in scan.headers.items():
        if len(header.get_data_shape()) > 3:
            yield scan.finding(
                "further-axes",
                path,
                severity="note",
                wanted="three axes",
                found=f"shape {tuple(map(int, header.get_data_shape()))}",
                next_step="nothing for lesionlab; other programs may take it for a series",
            )


def _distance_between_forms_mm(header: nibabel.Nifti1Header) -> float:
    """Return how far a corner voxel lies between the two transforms; 0 where one is unset, infinite if one is void."""
    if not header["sform_code"] or not header["qform_code"]:
        return 0.0
    shape = header.get_data_shape()[:3]
    try:
        return Grid.of(shape, header.get_sform()).distance_mm(Grid.of(shape, header.get_qform()))
    except (HeaderDataError, ValueError):  # a quaternion that is no rotation
        return float("inf")


def _sizes(sizes: np.ndarray) -> str:
    return " x ".join(f"{size:.4g}" for size in sizes)
