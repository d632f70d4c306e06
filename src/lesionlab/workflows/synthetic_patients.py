"""Patients who never lived: brains drawn from a public template, with white-matter lesions and their exact masks.

They look enough like the WMH challenge's scans to try every verb, and tell nothing about how well a network reads
real ones.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar

import numpy as np
from einops import reduce
from jaxtyping import Bool, Float, Float32, UInt8
from scipy import ndimage
from scipy.interpolate import make_interp_spline

from lesionlab.core.errors import OptionError
from lesionlab.core.grid import Grid
from lesionlab.core.metric import Spacing
from lesionlab.core.progress import Tracker
from lesionlab.core.storage import write_text_atomically
from lesionlab.engine.cases_at_once import how_many_at_once, work_through
from lesionlab.engine.images import write_image

Drawn = TypeVar("Drawn")

FIELD_OF_VIEW_MM = (170.0, 210.0, 144.0)
CENTRE = (98.0, 116.0, 84.0)
"""The template voxel (1 mm) in the middle of the field of view."""

SUBSLICES = 2
"""A thick slice is the mean of this many thin ones, which blurs edges as partial volume does."""

_BYTES_PER_VOXEL = 64
"""Drawing a person takes at most so much memory for each voxel of the thin slices."""

_ASIDE_MM = 22.0
"""A lesion on one side has its middle at least so far from that of the head."""

_SPARED_MM = 6.0
"""It ends so far from the middle of the head, as most do at the falx."""

CITATION = (
    "Synthetic patients drawn by lesionlab on the MNI152 template (Fonov et al. 2011, "
    "doi:10.1016/j.neuroimage.2010.07.033); no real person was scanned"
)

PARTS = ("training", "training", "validation", "test", "training", "test")
"""The parts that patients go to in turn."""


Pathology: TypeAlias = Literal["white_matter", "one_sided", "none"]
"""White-matter lesions on both sides and perhaps an old infarct; one large lesion on one side; or nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A scanner: what tissues look like and what spoils the picture.

    Attributes:
        name: Becomes the folder of its patients.
        flair: Intensities of cerebrospinal fluid, grey matter, white matter, lesion, bone and scalp.
        t1: The same for T1.
        noise: Standard deviation of the noise in each of the two receiver channels (Rician).
        shading: Standard deviation of the logarithm of the receive field.
        scale: What an intensity of 1 is stored as.
    """

    name: str
    flair: tuple[float, ...]
    t1: tuple[float, ...]
    noise: float
    shading: float
    scale: float


SITES = (
    Site(
        name="Northford",
        flair=(0.12, 0.72, 0.58, 1.12, 0.06, 0.85),
        t1=(0.20, 0.58, 0.86, 0.60, 0.08, 1.05),
        noise=0.025,
        shading=0.08,
        scale=1000.0,
    ),
    Site(
        name="Southwick",
        flair=(0.20, 0.66, 0.56, 0.95, 0.09, 0.60),
        t1=(0.26, 0.62, 0.80, 0.64, 0.10, 1.20),
        noise=0.04,
        shading=0.11,
        scale=350.0,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Anatomy:
    """Maps on a lattice: fractions of grey and white matter, and two distances in mm.

    Attributes:
        grey: Fraction of grey matter, 0 to 1.
        white: Fraction of white matter, 0 to 1.
        depth_mm: Distance to the brain's surface, positive inside.
        ventricle_mm: Distance to the ventricles, 0 inside them.
    """

    grey: Float32[np.ndarray, "x y z"]
    white: Float32[np.ndarray, "x y z"]
    depth_mm: Float32[np.ndarray, "x y z"]
    ventricle_mm: Float32[np.ndarray, "x y z"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """One drawn patient.

    Attributes:
        flair: FLAIR intensities.
        t1: T1 intensities.
        label: 0 background, 1 lesion, 2 other pathology (an old infarct).
        grid: Where the voxels lie.
    """

    flair: Float32[np.ndarray, "x y z"]
    t1: Float32[np.ndarray, "x y z"]
    label: UInt8[np.ndarray, "x y z"]
    grid: Grid


def make_cohort(folder: Path, *, patients: int, seed: int, spacing_mm: Spacing = (1.25, 1.25, 4.0)) -> tuple[Path, ...]:
    """Write synthetic patients in the layout wmh2017, and return their folders.

    Two sites with unlike contrast and noise take turns; of every six patients three are for training, one for
    validation and two for test. The same arguments give the same bytes, and a larger cohort contains the smaller.

    Args:
        folder: Gets ``<part>/<site>/<number>/{pre/FLAIR.nii.gz, pre/T1.nii.gz, wmh.nii.gz}``, and a lesionlab.toml
            that says that the patients are synthetic.
        patients: How many.
        seed: Makes one cohort differ from another.
        spacing_mm: Voxel size; slices are axial.

    Raises:
        OptionError: The package nilearn, which carries the template, is not installed.
        StorageError: A file could not be written whole.
    """
    anatomy = load_anatomy()

    def write(number: int) -> Path:
        site = SITES[(number + number // len(PARTS)) % len(SITES)]
        patient = draw_patient(anatomy, np.random.default_rng([seed, number]), site=site, spacing_mm=spacing_mm)
        case_folder = folder / PARTS[number % len(PARTS)] / site.name / str(number)
        write_image(case_folder / "pre" / "FLAIR.nii.gz", patient.flair, grid=patient.grid)
        write_image(case_folder / "pre" / "T1.nii.gz", patient.t1, grid=patient.grid)
        write_image(case_folder / "wmh.nii.gz", patient.label, grid=patient.grid)
        return case_folder

    state_origin(folder)
    return write_people(patients, write, spacing_mm=spacing_mm)


def state_origin(folder: Path) -> None:
    """Write into a cohort's lesionlab.toml that its patients are synthetic, so that no model card says otherwise."""
    write_text_atomically(folder / "lesionlab.toml", f'citation = "{CITATION}"\n')


def write_people(people: int, write: Callable[[int], Drawn], *, spacing_mm: Spacing) -> tuple[Drawn, ...]:
    """Return what `write` gives for each number below `people`; several are drawn at once, and progress is shown."""
    voxels = SUBSLICES * math.prod(FIELD_OF_VIEW_MM) / math.prod(spacing_mm)
    at_once = how_many_at_once(round(_BYTES_PER_VOXEL * voxels))
    with Tracker("drawing synthetic people", total=people) as tracker:
        return work_through(range(people), write, at_once=at_once, tracker=tracker)


def load_anatomy() -> Anatomy:
    """Return the MNI152 template's tissue maps at 1 mm, from the files that nilearn carries.

    Raises:
        OptionError: nilearn is not installed.

    Source: ICBM 152 nonlinear 2009a symmetric, Fonov et al. 2011, doi:10.1016/j.neuroimage.2010.07.033.
    """
    try:
        from nilearn.datasets import load_mni152_gm_template, load_mni152_wm_template
    except ImportError as error:
        raise OptionError(
            "the package nilearn, which carries the MNI152 template",
            found="that it is not installed",
            where="the making of synthetic patients",
            next_step="pip install 'lesionlab[demo]'",
        ) from error
    grey, white = (
        np.asarray(load(resolution=1).get_fdata(), dtype=np.float32)
        for load in (load_mni152_gm_template, load_mni152_wm_template)
    )
    tissue = (grey + white)[::2, ::2, ::2]  # distances need no more than 2 mm
    brain = ndimage.binary_fill_holes(ndimage.binary_closing(tissue > 0.3, iterations=3))
    inside_mm = 2 * ndimage.distance_transform_edt(brain)
    ventricles = ndimage.binary_opening((inside_mm > 26) & (tissue < 0.5))
    return Anatomy(
        grey=grey,
        white=white,
        depth_mm=_doubled(inside_mm - 2 * ndimage.distance_transform_edt(~brain)),
        ventricle_mm=_doubled(2 * ndimage.distance_transform_edt(~ventricles)),
    )


def _doubled(volume: Float[np.ndarray, "x y z"]) -> Float32[np.ndarray, "_ _ _"]:
    sizes = tuple(2 * size - 1 for size in volume.shape)
    return _stretched(volume.astype(np.float32), sizes, degree=1)


def draw_patient(
    anatomy: Anatomy,
    generator: np.random.Generator,
    *,
    site: Site,
    spacing_mm: Spacing,
    pathology: Pathology = "white_matter",
    is_stripped: bool = False,
) -> Patient:
    """Draw one patient: a deformed brain, its lesions, and what the site's scanner makes of them.

    With `is_stripped` all that is not brain is 0 in the scans, as tools leave it that take off the skull.
    """
    shape = tuple(round(extent / size) for extent, size in zip(FIELD_OF_VIEW_MM, spacing_mm, strict=True))
    thin_mm = (spacing_mm[0], spacing_mm[1], spacing_mm[2] / SUBSLICES)
    own = _deform(anatomy, (shape[0], shape[1], shape[2] * SUBSLICES), generator, thin_mm=thin_mm)
    infarct, lesion = (
        _soften(mask, thin_mm) for mask in _draw_pathology(own, generator, pathology=pathology, thin_mm=thin_mm)
    )
    affine = np.diag([*spacing_mm, 1.0])
    affine[:3, 3] = [-(size - 1) / 2 * step for size, step in zip(shape, spacing_mm, strict=True)]
    label = np.where(_thicken(infarct) > 0.5, 2, _thicken(lesion) > 0.5).astype(np.uint8)
    flair, t1 = (
        _scan(_thicken(_contrast(own, lesion, infarct, values=values)), generator, site=site)
        for values in (site.flair, site.t1)
    )
    if is_stripped:
        brain = _thicken(own.depth_mm) > 0
        flair, t1 = (np.where(brain, scan, np.float32(0)) for scan in (flair, t1))
    return Patient(flair=flair, t1=t1, label=label, grid=Grid.of(shape, affine))


def _deform(
    anatomy: Anatomy, shape: tuple[int, int, int], generator: np.random.Generator, *, thin_mm: Spacing
) -> Anatomy:
    """Return the anatomy of one patient: another size, pose and shape."""
    angles = np.radians(generator.normal(0, 3, 3))
    turn = np.array([[1, -angles[2], angles[1]], [angles[2], 1, -angles[0]], [-angles[1], angles[0], 1]])
    matrix = turn * generator.normal(1.06, 0.03, 3) * np.array(thin_mm)
    middle = (np.array(shape) - 1) / 2
    start = np.array(CENTRE) + generator.normal(0, 2, 3) - matrix @ middle
    ramps = np.meshgrid(*(np.arange(size, dtype=np.float32) for size in shape), indexing="ij", sparse=True)
    points = np.stack(
        [
            sum((row * ramp for row, ramp in zip(rows, ramps, strict=True)), np.float32(origin))
            + 3.0 * _smooth_noise(shape, generator, knots=6)
            for rows, origin in zip(matrix.astype(np.float32), start, strict=True)
        ]
    )

    def sample(volume: Float32[np.ndarray, "_ _ _"]) -> Float32[np.ndarray, "_ _ _"]:
        return np.asarray(ndimage.map_coordinates(volume, points, order=1, mode="nearest"))

    return Anatomy(
        grey=sample(anatomy.grey),
        white=sample(anatomy.white),
        depth_mm=sample(anatomy.depth_mm),
        ventricle_mm=sample(anatomy.ventricle_mm),
    )


def _draw_pathology(
    own: Anatomy, generator: np.random.Generator, *, pathology: Pathology, thin_mm: Spacing
) -> tuple[Bool[np.ndarray, "x y z"], Bool[np.ndarray, "x y z"]]:
    """Draw where the infarct is and where lesions are."""
    nothing = np.zeros(own.white.shape, dtype=np.bool_)
    if pathology == "none":
        return nothing, nothing
    if pathology == "one_sided":
        return nothing, _draw_one_sided(own, generator, thin_mm=thin_mm)
    infarct = _draw_infarct(own, generator, thin_mm=thin_mm)
    return infarct, _draw_lesions(own, generator, thin_mm=thin_mm)


def _draw_lesions(own: Anatomy, generator: np.random.Generator, *, thin_mm: Spacing) -> Bool[np.ndarray, "x y z"]:
    """Draw caps and bands at the ventricles and foci in the deep white matter, about 2 to 30 ml in all."""
    load_ml = float(np.clip(generator.lognormal(np.log(13), 0.7), 5, 36))
    grain = ndimage.gaussian_filter(generator.standard_normal(own.white.shape, dtype=np.float32), _voxels(2.4, thin_mm))
    grain /= grain.std()
    is_white = (own.white > 0.75) & (own.depth_mm > 6)
    score = np.where(is_white, grain + 3.5 * np.exp(-own.ventricle_mm / 6), -np.inf)
    voxels = round(load_ml * 1000 / float(np.prod(thin_mm)))
    threshold = np.partition(score.ravel(), -voxels)[-voxels]
    return np.asarray(score >= threshold)


def _draw_infarct(own: Anatomy, generator: np.random.Generator, *, thin_mm: Spacing) -> Bool[np.ndarray, "x y z"]:
    """Draw an old infarct in every third patient or so, away from the ventricles; else nothing."""
    if generator.random() > 0.35:
        return np.zeros(own.white.shape, dtype=np.bool_)
    places = (own.depth_mm > 6) & (own.depth_mm < 15) & (own.ventricle_mm > 25)
    return _draw_ellipsoid(own, generator, places=places, radii_mm=(6.0, 14.0), thin_mm=thin_mm)


def _draw_one_sided(own: Anatomy, generator: np.random.Generator, *, thin_mm: Spacing) -> Bool[np.ndarray, "x y z"]:
    """Draw one lesion of about 15 to 85 ml, as a large stroke or a tumour makes it, that ends before the midline."""
    aside_mm = (np.arange(own.white.shape[0]) - (own.white.shape[0] - 1) / 2)[:, None, None] * thin_mm[0]
    places = (np.abs(aside_mm) > _ASIDE_MM) & (own.depth_mm > 8)
    lesion = _draw_ellipsoid(own, generator, places=places, radii_mm=(15.0, 30.0), thin_mm=thin_mm)
    side = np.sign(np.sum(aside_mm * lesion))
    return np.asarray(lesion & (side * aside_mm > _SPARED_MM))


def _draw_ellipsoid(
    own: Anatomy,
    generator: np.random.Generator,
    *,
    places: Bool[np.ndarray, "x y z"],
    radii_mm: tuple[float, float],
    thin_mm: Spacing,
) -> Bool[np.ndarray, "x y z"]:
    """Draw a ragged ellipsoid around one of the places, with three radii between the two given."""
    candidates = np.argwhere(places)
    centre = candidates[generator.integers(len(candidates))]
    chosen_mm = generator.uniform(*radii_mm, 3)
    ramps = np.meshgrid(*(np.arange(size, dtype=np.float32) for size in own.white.shape), indexing="ij", sparse=True)
    parts = zip(ramps, centre, thin_mm, chosen_mm, strict=True)
    distance = sum(((ramp - at) * step / radius) ** 2 for ramp, at, step, radius in parts)
    ragged = distance + 0.35 * _smooth_noise(own.white.shape, generator, knots=24)
    return np.asarray((ragged < 1) & (own.depth_mm > 1))


def _contrast(
    own: Anatomy,
    lesion: Float32[np.ndarray, "x y z"],
    infarct: Float32[np.ndarray, "x y z"],
    *,
    values: tuple[float, ...],
) -> Float32[np.ndarray, "x y z"]:
    """Return the intensities of a scan without noise: a mean of tissue values by their fractions."""
    fluid, grey, white, bright, bone, scalp = (np.float32(value) for value in values)
    picture: Float32[np.ndarray, "x y z"] = fluid + (grey - fluid) * own.grey + (white - fluid) * own.white
    picture = np.where(own.depth_mm < -4, bone, picture)
    picture = np.where(own.depth_mm < -9, scalp, picture)
    picture = np.where(own.depth_mm < -14, np.float32(0), picture)
    picture += (bright - picture) * lesion
    rim = 4 * infarct * (1 - infarct)  # gliosis around, fluid within
    picture += (fluid - picture) * infarct + (bright - fluid) * 0.6 * rim
    return picture


def _scan(
    picture: Float32[np.ndarray, "x y z"], generator: np.random.Generator, *, site: Site
) -> Float32[np.ndarray, "x y z"]:
    """Return `picture` as the site's scanner stores it: shaded, noisy, in its own units."""
    shaded = picture * np.exp(site.shading * _smooth_noise(picture.shape, generator, knots=4))
    real, imaginary = site.noise * generator.standard_normal((2, *picture.shape), dtype=np.float32)
    scale = site.scale * generator.lognormal(0, 0.1)
    stored: Float32[np.ndarray, "x y z"] = np.round(scale * np.hypot(shaded + real, imaginary)).astype(np.float32)
    return stored


def _soften(mask: Bool[np.ndarray, "x y z"], thin_mm: Spacing) -> Float32[np.ndarray, "x y z"]:
    return np.asarray(ndimage.gaussian_filter(mask.astype(np.float32), _voxels(0.8, thin_mm)))


def _voxels(length_mm: float, spacing_mm: Spacing) -> tuple[float, ...]:
    return tuple(length_mm / step for step in spacing_mm)


def _thicken(thin: Float32[np.ndarray, "x y z"]) -> Float32[np.ndarray, "x y _"]:
    """Average thin slices to thick ones."""
    thick: Float32[np.ndarray, "x y _"] = reduce(thin, "x y (z thin) -> x y z", "mean", thin=SUBSLICES)
    return thick


def _smooth_noise(
    shape: tuple[int, ...], generator: np.random.Generator, *, knots: int
) -> Float32[np.ndarray, "_ _ _"]:
    """Return noise of about unit standard deviation that is smooth between `knots` points along each axis."""
    return _stretched(generator.standard_normal((knots, knots, knots), dtype=np.float32), shape, degree=3)


def _stretched(
    volume: Float32[np.ndarray, "_ _ _"], shape: tuple[int, ...], *, degree: int
) -> Float32[np.ndarray, "_ _ _"]:
    """Return `volume` interpolated to `shape`, corner voxels on corner voxels."""
    for axis, size in enumerate(shape):
        before = volume.shape[axis]
        weights = make_interp_spline(np.arange(before), np.eye(before), k=degree)(np.linspace(0, before - 1, size))
        volume = np.moveaxis(np.tensordot(weights.astype(np.float32), volume, axes=(1, axis)), 0, axis)
    return volume
