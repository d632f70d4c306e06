"""Which modality a DICOM series is of: its attributes first, then the words of its description."""

from dataclasses import dataclass

from lesionlab.core.case import Modality
from lesionlab.layouts.description_words import Contrast, read_description, split_words

HIGH_B = 400.0
"""Diffusion weighting in s/mm^2 from which on an image is a DWI: below it shows perfusion, or T2 at 0."""

UNUSABLE_TYPES: dict[str, str] = {
    **dict.fromkeys(("LOCALIZER", "SCOUT"), "a localiser"),
    **dict.fromkeys(("FA", "TENSOR", "TENSOR_B0", "MEAN_DIFFUSIVITY"), "a tensor or its map"),
    **dict.fromkeys(("EXP", "EADC", "CALC_BVALUE", "CALC_BVAL"), "a calculated image"),
    **dict.fromkeys(("PERFUSION", "ASL", "TTP", "CBF", "CBV", "RELCBF", "RELCBV", "RELMTT", "MTT", "GBP", "PBP"),
                    "perfusion"),
    **dict.fromkeys(("MIP", "MINIP", "MNIP", "MIN IP", "PROJECTION IMAGE"), "a projection"),
    **dict.fromkeys(("SUB", "SUBTRACT", "SUBTRACTION"), "a subtraction"),
    **dict.fromkeys(("P", "PHASE", "PHASE MAP", "PHASE_MAP"), "a phase image"),
    **dict.fromkeys(("R", "I", "REAL", "IMAGINARY"), "a real or imaginary part"),
    **dict.fromkeys(("T1 MAP", "T2 MAP", "T2_STAR MAP", "T1_MAP", "T2_MAP", "STDDEV", "MAP"), "a map"),
    **dict.fromkeys(("SCREEN SAVE", "SCREENSAVE"), "no scan"),
    "MOSAIC": "a mosaic",
    "FMRI": "functional MRI",
}  # fmt: skip
"""Values of ImageType that rule a series out, and what it shows then."""

FAMILY_TYPES: dict[str, Modality] = {"ADC": "adc", "TRACEW": "dwi", "TRACE": "dwi", "SWI": "swi"}

ACQUISITION_CONTRASTS: dict[str, Modality] = {
    "T1": "t1",
    "T2": "t2",
    "T2_STAR": "t2star",
    "PROTON_DENSITY": "pd",
    "FLUID_ATTENUATED": "flair",
    "DIFFUSION": "dwi",
}
"""Values of AcquisitionContrast and the weighting they state."""

UNUSABLE_CONTRASTS = {"PERFUSION": "perfusion", "FLOW_ENCODED": "angiography", "TOF": "angiography",
                      "STIR": "another weighting", "TAGGING": "another weighting"}  # fmt: skip

TOGETHER: dict[frozenset[Modality], Modality] = {
    frozenset({"adc", "dwi"}): "adc",
    frozenset({"t1", "flair"}): "t1",
    frozenset({"t2", "flair"}): "flair",
    frozenset({"swi", "t2"}): "swi",
    frozenset({"swi", "t2star"}): "swi",
}
"""Weightings that are named together, and what the series is: ``T1 FLAIR`` is a T1 whose fluid is dark."""

UNKNOWN_FAMILIES = {
    "t2star": "T2*-weighted, which is no known modality",
    "t2ir": "an inversion recovery, FLAIR or STIR",
}

CONTRADICTIONS = ({"t1", "t2"}, {"t1", "flair"}, {"pd", "flair"})
"""A weighting that is named and one by the times that cannot both be."""

NO_AGENT = frozenset({"no", "none", "n", "na", "nil", "without", "ohne", "sans", "0", "false", "unknown"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesAttributes:
    """What the header of a series states beside its description; everything may be missing.

    Attributes:
        image_type: Values of ImageType, in capitals.
        agent: ContrastBolusAgent.
        b_value: DiffusionBValue in s/mm^2.
        sequence: Values of ScanningSequence and SequenceVariant, in capitals.
        inversion_ms: InversionTime.
        echo_ms: EchoTime.
        repetition_ms: RepetitionTime.
        contrast: AcquisitionContrast, in capitals.
    """

    image_type: tuple[str, ...] = ()
    agent: str = ""
    b_value: float | None = None
    sequence: frozenset[str] = frozenset()
    inversion_ms: float | None = None
    echo_ms: float | None = None
    repetition_ms: float | None = None
    contrast: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The modality of a series, or None and the reason why it has none."""

    modality: Modality | None
    reason: str = ""


def judge_series(kind: str, description: str, attributes: SeriesAttributes) -> Verdict:
    """Return the modality of a series, or why it has none that is certain.

    Attributes rule out what is no plain weighted image (localisers, phase, projections, maps, perfusion) and name
    diffusion, ADC and susceptibility; whole words of the description name the weighting; echo, repetition and inversion
    time name it where the words do not, and contradict the words where both are clear. A T1 image is t1ce where the
    contrast agent is recorded or its description says so without contradiction.

    Args:
        kind: DICOM's Modality: MR, CT, ...
        description: SeriesDescription, or what stands for it.
        attributes: Of the header.
    """
    described = read_description(description)
    unusable = _ruled_out(attributes) or described.unusable
    if unusable:
        return Verdict(modality=None, reason=unusable)
    if kind == "CT":
        return Verdict(modality="ct")
    if kind != "MR":
        return Verdict(modality=None, reason=f"images of kind {kind or 'unknown'}")
    stated = _stated(attributes)
    is_dwi = "adc" not in {*stated, *described.families} and "dwi" in {*stated, *described.families}
    if is_dwi and attributes.b_value is not None and attributes.b_value < HIGH_B:
        return Verdict(modality=None, reason=f"b = {attributes.b_value:g}")
    family = _family(_together(described.families | stated), timed=_by_times(attributes))
    return _of_t1(described.contrast, attributes.agent) if family.modality == "t1" else family


def _ruled_out(attributes: SeriesAttributes) -> str:
    reasons = (UNUSABLE_TYPES[value] for value in attributes.image_type if value in UNUSABLE_TYPES)
    return next(reasons, UNUSABLE_CONTRASTS.get(attributes.contrast, ""))


def _stated(attributes: SeriesAttributes) -> set[Modality]:
    """Return the weightings that ImageType, AcquisitionContrast and DiffusionBValue state."""
    words = {word for value in attributes.image_type for word in value.replace("_", " ").split()}  # ADC_UNSPECIFIED
    stated = {FAMILY_TYPES[word] for word in words if word in FAMILY_TYPES}
    if attributes.contrast in ACQUISITION_CONTRASTS:
        stated.add(ACQUISITION_CONTRASTS[attributes.contrast])
    return stated | ({"dwi"} if (attributes.b_value or 0) >= HIGH_B else set())


def _family(named: frozenset[Modality], *, timed: Modality | None) -> Verdict:
    """Return the weighting, contrast agent left aside, by what is named and what the times make certain."""
    if timed and (
        not named or (named == {"pd", "t2"} and timed in named) or (timed == "flair" and named <= {"t2", "t2ir"})
    ):
        return Verdict(modality=timed)
    if len(named) > 1 or (timed and {*named, timed} in CONTRADICTIONS):
        return Verdict(
            modality=None, reason="a contradiction: " + " and ".join(sorted({*named, *filter(None, [timed])}))
        )
    unknown = next((UNKNOWN_FAMILIES[name] for name in named if name in UNKNOWN_FAMILIES), "")
    if unknown:
        return Verdict(modality=None, reason=unknown)
    return Verdict(modality=next(iter(named), None), reason="" if named else "no known modality")


def _together(named: frozenset[Modality]) -> frozenset[Modality]:
    """Return the one weighting that several words describe together, or all that contradict each other."""
    whole = TOGETHER.get(named)
    return frozenset({whole}) if whole else named


def _by_times(attributes: SeriesAttributes) -> Modality | None:
    """Return the weighting that echo, repetition and inversion time make certain, else None.

    Spin echoes: T1 from TR to 1000 ms and TE to 30 ms, T2 from TR 2000 ms and TE 70 ms, PD from TR 2000 ms and TE to
    40 ms, FLAIR from TI 1700 ms and TE 70 ms. Gradient echoes: T1 only with a magnetisation that was prepared.
    """
    sequence, inversion = attributes.sequence, attributes.inversion_ms or 0.0
    echo, repetition = attributes.echo_ms, attributes.repetition_ms
    if not sequence or echo is None or repetition is None or "EP" in sequence:
        return None
    if "SE" not in sequence and "IR" not in sequence:
        return "t1" if {"GR", "MP"} <= sequence and echo < 10 else None
    if inversion >= 1700 and echo >= 70:
        return "flair"
    if "GR" in sequence:
        return "t1" if "MP" in sequence and echo < 10 else None
    if inversion or "IR" in sequence:
        return None
    if repetition <= 1000:
        return "t1" if echo <= 30 else None
    if repetition < 2000:
        return None
    return "t2" if echo >= 70 else "pd" if echo <= 40 else None


def _of_t1(described: Contrast, agent: str) -> Verdict:
    words = set(split_words(agent))
    is_denied = bool(words & NO_AGENT)
    is_given = bool(words) and not is_denied
    if described == "contradictory" or (described == "unclear" and not words):
        return Verdict(modality=None, reason=f"whether contrast agent was given is {described}")
    if (is_given and described == "not given") or (is_denied and described == "given"):
        return Verdict(modality=None, reason="a contradiction about contrast agent between header and description")
    return Verdict(modality="t1ce" if is_given or described == "given" else "t1")
