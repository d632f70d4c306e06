"""Words of a series' description: its weighting, whether contrast agent was given, and what rules it out.

Whole words decide, never parts of words, and a negation goes before what it negates.
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal, TypeAlias

from lesionlab.core.case import Modality

Contrast: TypeAlias = Literal["given", "not given", "contradictory", "unclear", "not named"]

SIGNS: tuple[tuple[str, str], ...] = (
    (r"\bpost\w*( minus | ?- ?)pre\w*\b", " subtraction "),
    (r"\bt2(w?) ?\*|\bt2w?[ -]*star\b", " t2star "),
    (r"\b3[ -]+pl(ane?)?s?\b", " 3plane "),
    (r"\bw ?[/&] ?(?=w ?/? ?o\b)", " with "),
    (r"\bw ?/ ?o(ut)?\b", " without "),
    (r"\bw ?/", " with "),
    (r"\+ ?/ ?-", " with without contrast "),
    (r"\+ ?(?=c\b|gd|gad|km\b|contrast|kontrast|ce\b)c?\b", " with contrast "),
    (r"(?<![a-z0-9])(c|gd|gad|km|iv) ?\+", " with contrast "),
    (r"(?<![a-z0-9])(c|gd|gad|km|iv)-(?![a-z0-9])|(?<!\S)-c\b", " without contrast "),
    (r"\bb ?= ?(?=\d)|\bb (?=\d{3,4}\b)", " b"),
    (r"\bmp[ -]+rage\b", " mprage "),
    (r"(?<=\bmp2rage )t1 images", " map "),
    (r"\bdark[ -]*fluid\b|\bda[ -]*fl\b|\bfluid[ -]*attenuated\b", " flair "),
    (r"\bapparent[ -]+diffusion[ -]+coeff\w*|\bapparent[ -]+diff[ -]+coeff\w*", " adc "),
    (r"\bproton[ -]+dens\w*", " pd "),
    (r"\bfield[ -]*map\w*|\bfield[ -]+mapping\b", " fieldmap "),
    (r"\b(pre|post)[ -]*(?=contrast|gado?|gd|km\b|kontrast|injection)", r" \1 "),
    (r"\b(mit|nach|with|w|m|ohne|wo|without|o|vor)(?=(km|gd|gad|gado)\b)", r"\1 "),
    (r"\b(no|non|un)[ -]*(?=contrast|gado?\b|gd\b|km\b|enhanced)", " no "),
)
"""Signs and fixed expressions, in the order of replacing, and the words that they stand for."""

FAMILIES: tuple[tuple[str, Modality], ...] = (
    (r"(\dd)?d?[se]?t1(w|wi|n)?(se|tse|fse|tfe|ffe|gre|flair|spc|space|cube|vibe|tir|tirm|weighted)?", "t1"),
    (r"t1(w|wi)?(c|ce|gd|gad|gado|post|km)", "t1"),
    (r"cet1(w|wi)?", "t1"),
    (r"(me)?mprage|mp2rage|f?spgr|fspgr3d|bravo|efgre3d|tfl3d", "t1"),
    (r"d?[se]?(\dd)?t2(w|wi)?(se|tse|fse|frfse|spc|space|cube|spair|spir|weighted)?|t2(w|wi)?flair", "t2"),
    (r"t2star(w|wi)?|t2s|hemo|medic|merge", "t2star"),
    (r"(\dd)?(t[12](w|wi)?)?flair(\dd)?|flair(cube|space|vista)|(cube|space|vista)flair", "flair"),
    (r"pd(w|wi)?(tse|fse)?|pdt2", "pd"),
    (r"pdt2", "t2"),
    (r"[dis]?(iso)?dwi(\d?b)?|tracew|trace|diffusion|resolve|b([1-9]\d{2,3})", "dwi"),
    (r"d?adc", "adc"),
    (r"d?swip?|swan|swi3d|susceptibility", "swi"),
)
"""What a whole word must be, and the weighting it names; ``T1 FLAIR`` names t1 and flair, and is t1."""

GRADIENT_ECHO = frozenset(
    {"gre", "ffe", "fl2d", "fl3d", "flash", "epi", "ep2d", "ge", "fid", "fe", "ci3d", "ciss", "gradient", "grad"}
)
"""Sequences whose T2 weighting is T2*, or that of a steady state."""

INVERSION = frozenset({"tirm", "tir"})
"""Inversion recoveries that are FLAIR or STIR, by an inversion time that the words do not tell."""

ECHO_PLANAR = frozenset({"ep2d", "epi", "resolve", "dwi", "adc", "trace", "tracew", "mddw", "3scan", "4scan", "zoomit"})
"""Words beside which ``diff`` means diffusion and not a difference."""

UNUSABLE: tuple[tuple[str, str], ...] = (
    (
        r"\w*scout\w{0,2}|locali[sz]\w*|loc|\dplane|survey|surview|topogram|pilot|plan|planning|smartbrain",
        "a localiser",
    ),
    (
        r"calibration|calib|cal|ref|reference|senseref|refscan|sensitivity|fieldmap|b[01]map|shim\w*|prescan",
        "a calibration",
    ),
    (r"perf\w*|pwi|dsc|dce|r?cb[fv]|mtt|ttp|tmax|ktrans|[23]?d?p?c?asl|pcasl|pasl|gbp|pbp|ctp|vpct", "perfusion"),
    (r"dyn\w*|twist|tricks|timepoints?|(pre)?monitoring|(test)?bolus|smartprep", "a dynamic series"),
    (r"sub|subs|subtr\w*|difference|differenz", "a subtraction"),
    (r"t?mip|minip|mnip|mips|vrt?|rotation|3drot", "a projection"),
    (r"phase|phases|pha|pc|pca|phasediff", "a phase image"),
    (r"(ce|tof|pc)?mra|mrv|cta|ctv|tof|angio\w*|venogra\w*|inhance|dsa", "angiography"),
    (r"(col)?fa|dti|dtif|tensor|tracto\w*|fibers?|fibre|dki|dsi|hardi|noddi|md|rd|fractional", "a tensor or its map"),
    (r"e-?adc|exp|exponential|calc|calculated", "a calculated image"),
    (r"bold|fmri|resting", "functional MRI"),
    (r"mrs|svs|csi|spectro\w*|mrsi", "spectroscopy"),
    (r"t[12]s?map\w*|maps?|mapping|qmap|r2star|r2s|qsm|relax\w*|t[12]_images|mtr|inv[12]|stddev", "a map"),
    (r"dir|stir|psir|psirir|tagging|cine", "another weighting"),
    (r"screen\w*|capture|report|dose|summary|snapshot|posdisp\w*|mosaic", "no scan"),
)
"""What a whole word must be to rule a series out, and what it shows then; a map of ADC is an exception."""


def _vocabulary(words: str) -> frozenset[str]:
    return frozenset(words.split())


AGENTS = _vocabulary(
    "gd gad gado gadolinium gadovist gadavist dotarem magnevist multihance prohance clariscan omniscan elucirem vueway "
    "gdtpa dtpa km kontrastmittel ce enhanced enh"
)
"""Words for a contrast agent: given, unless a negation is before them."""

CONTRAST = frozenset({*AGENTS, "contrast", "kontrast", "contraste", "contrasto", "injection", "inj"})
NEGATIONS = _vocabulary(
    "no not non none without ohne o sans senza sin zonder utan uden bez pre prae before vor avant prima antes wo minus"
)
AFFIRMATIONS = _vocabulary("post with w after nach mit m n avec apres dopo con met plus following")
JOINTS = _vocabulary("iv i v any the and or und et y e contrast kontrast contraste agent media medium admin")

TECHNICAL = re.compile(
    r"(ax|axial|tra|trans|transversal|sag|sagittal|cor|coronal|obl|fs|fatsat|fat|sat|dixon|3d|2d|iso|p\d|t1\w*|se|tse|fse"
    r"|ir|gre|images?|mprage|mpr|spgr|bravo|cube|space|spc|vibe|tfe|ffe|brain|head|hirn|neuro|recon|reformat|nd|dis[23]d|flair"
    r"|\d+mm|w|weighted)"
)
"""Words that may follow a ``pre`` or ``post`` that means contrast agent, which then needs no other word."""

OTHER_MATTERS = _vocabulary(
    "op ops operative surgery surgical processing processed process proc fossa rt rtx radiation radiotherapy treatment "
    "therapy tx trauma traumatic natal partum biopsy chemo ictal mortem stroke resection implant dbs"
)
"""Words behind a ``pre`` or ``post`` that is not about contrast agent."""

CONCATENATED = re.compile(r"t1(w|wi)?(c|ce|gd|gad|gado|post|km)|cet1(w|wi)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """The reading of one description.

    Attributes:
        families: Weightings that its words name; several may belong together (T2 and FLAIR) or contradict each other.
        contrast: Whether a contrast agent was given.
        unusable: What it shows instead of a weighting ("a localiser"), or an empty string.
    """

    families: frozenset[Modality]
    contrast: Contrast
    unusable: str


def read_description(text: str) -> Described:
    """Return what the whole words of a description say; no word, no statement.

    A ``pre`` or ``post`` is about contrast agent only beside a word for it, at the end, or before technical words;
    "post op", "post processing" and "posterior fossa" are not. ``diff`` is diffusion only beside an echo-planar word.
    """
    words = split_words(text)
    named = frozenset(family for word in words for pattern, family in FAMILIES if re.fullmatch(pattern, word))
    if "diff" in words and set(words) & ECHO_PLANAR:
        named |= {"dwi"}
    elif "diff" in words:
        return Described(
            families=named, contrast="not named", unusable="a difference or diffusion, it is not clear which"
        )
    if "t2" in named and set(words) & GRADIENT_ECHO and not named & {"dwi", "adc"}:
        named = named - {"t2"} | {"t2star"}
    if named == {"t2"} and set(words) & INVERSION:
        named = frozenset({"t2ir"})
    reasons = (reason for word in words for pattern, reason in UNUSABLE if re.fullmatch(pattern, word))
    reason = next((reason for reason in reasons if not (reason == "a map" and "adc" in named)), "")
    if not reason and named == {"dwi"} and words.count("b0") and not any(re.fullmatch(r"b[1-9]\d+", w) for w in words):
        reason = "b = 0"
    return Described(families=named, contrast=_contrast(words), unusable=reason)


def split_words(text: str) -> list[str]:
    """Return the words of a text in lower case, its signs (``w/o``, ``+C``, ``T2*``) replaced by words."""
    decomposed = unicodedata.normalize("NFKD", text.lower().replace("_", " "))
    plain = "".join(sign for sign in decomposed if not unicodedata.combining(sign))  # après is apres
    for pattern, words in SIGNS:
        plain = re.sub(pattern, words, plain)
    return re.findall(r"[^\W_]+", plain)


def _contrast(words: list[str]) -> Contrast:
    if words and words[-1] in ("with", "without", "wo"):  # what was left away is contrast agent
        words = [*words, "contrast"]
    statements = {statement for place in range(len(words)) for statement in _statements(words, place)}
    if {"given", "not given"} <= statements:
        return "contradictory"
    firm: tuple[Contrast, ...] = ("given", "not given", "unclear")
    return next((statement for statement in firm if statement in statements), "not named")


def _statements(words: list[str], place: int) -> set[Contrast]:
    """Return what one word says about contrast agent, with the words before it or, for ``pre``, behind it."""
    word = words[place]
    if word in CONTRAST:
        before = _before(words, place)
        own: set[Contrast] = {"given"} if word in AGENTS else {"unclear"}
        statements: set[Contrast] = set()
        statements |= {"not given"} if before & NEGATIONS else set()
        statements |= {"given"} if before & AFFIRMATIONS else set()
        return statements or own
    if CONCATENATED.fullmatch(word):
        return {"given"}
    if word in ("nativ", "native"):
        return {"not given"}
    if word in ("c", "delayed", "delay", "late"):
        return {"unclear"}
    return _of_pre_or_post(word, words[place + 1 :]) if word in ("pre", "post") else set()


def _of_pre_or_post(word: str, behind: list[str]) -> set[Contrast]:
    follower = behind[0] if behind else ""
    if follower in CONTRAST | JOINTS - {"and", "und", "y", "et"} or follower in OTHER_MATTERS:
        return set()
    if not follower or TECHNICAL.fullmatch(follower) or follower in ("and", "und", "y", "et", "pre", "post"):
        return {"given"} if word == "post" else {"not given"}
    return {"unclear"}


def _before(words: list[str], place: int) -> set[str]:
    """Return the prepositions and negations directly before a word."""
    found: set[str] = set()
    for word in reversed(words[:place]):
        if word not in NEGATIONS | AFFIRMATIONS | JOINTS | CONTRAST:
            break
        found.add(word)
    return found
