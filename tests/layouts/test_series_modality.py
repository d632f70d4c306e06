"""Which modality a DICOM series is of: whole words and attributes, never parts of words."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lesionlab.layouts.series_modality import SeriesAttributes, judge_series

NOTHING = SeriesAttributes()

DESCRIPTIONS = {
    "t1": """
        T1 SE sag posterior fossa|T1 MPRAGE no contrast|t1_mprage without GD|MPRAGE T1 pre contrast
        t1_mprage_sag_p2_iso|t1_mpr_ns_sag_p2_iso|Ax T1 FLAIR|t1_tirm_tra_dark-fluid|T1W_SE|sT1W_3D_TFE|eT1W_SE
        T1 tra ohne KM|t1_se_tra o. KM|T1 nativ|T1 sag sans injection|AX T1 W/O|T1 w/o contrast|Ax T1 non-contrast
        T1 noncontrast|T1 unenhanced|Ax T1 PRE|T1_fl2d_tra|Sag FSPGR BRAVO|3D T1 MPRAGE post processing|T1 postop
        T1 post op tra|T1 pre op sag|T1 C-|MP-RAGE|t1_space_sag|Sag T1 FSE|PRE T1 AX|SAG 3D BRAVO|mp2rage UNI
        T1 TSE senza contrasto|T1 no IV contrast|T1 SE MTC off|t1 vor KM|T1WI ax|Posterior fossa T1 thin""",
    "t1ce": """
        t1_mprage post gd|T1 MPRAGE post GD|ax T1 +C|Ax T1 FSE+C|AX T1 C+|t1_mprage_sag_KM|T1 tra nach KM|T1 mit KM
        T1W_3D_TFE +Gd|T1 post contrast|T1 POST|POST T1 AX|Ax T1 POST FS|T1 with contrast|T1 W/ contrast|T1 Gadovist
        T1CE|t1c|T1Gd|CE-T1 sag|T1 contrast enhanced|3D BRAVO post Gad|T1 apres gado|T1 après injection
        t1_vibe_fs_tra_postcontrast
        T1_mKM|T1 mitKM|T1 IV+|T1W_3D_FFE_GADO|COR T1 POST MPR|Post-Gadolinium T1|T1 Gd-DTPA|T1+GD
        T1 FLAIR POST|T1 postGd|SPGR + Gad|Ax T1 fat sat post-contrast|t1_tse_dixon_tra_KM_W""",
    "t2": """
        T2_TSE_tra|AX_T2_TSE|t2_tse_tra_p2_512|T2W_TSE|Ax T2 FRFSE|Ax T2 PROPELLER|t2_spc_sag|sag T2 cube|T2 fs cor
        T2 TRA|t2_blade_tra|T2WI|Ax T2 FSE post Gd|posterior fossa T2|3D T2 SPACE""",
    "flair": """
        t2_spc_FLAIR_sag|T2 Dark-Fluid tra|tirm_tra_dark-fluid|t2_space_da-fl|t2_tirm_tra_dark-fluid_320|FLAIR
        T2W_FLAIR|3D FLAIR|3DFLAIR|Sag CUBE FLAIR|AX T2 FLAIR ASSET|T2 FLAIR post Gd|Flair longTR|Sag 3D T2 FLAIR
        t2_space_dark-fluid_sag_p2_iso|FLAIR T2 fs|VISTA FLAIR SENSE|darkfluid cor|Fluid Attenuated IR""",
    "dwi": """
        ep2d_diff_TRACEW|ep2d_diff_3scan_trace_p2|DWI|Ax DWI b1000|DWI B 1000|resolve_4scan_trace_tra|TRACEW|dDWI
        Diffusion tra|DWI b=1000|isoDWI|DWI_3b|b1000|AX DIFFUSION ASSET|DWI b0 b1000""",
    "adc": """
        ep2d_diff_ADC|ep2d_diff_3scan_trace_p2_ADC|ADC map|dADC|Apparent Diffusion Coefficient (mm2/s)|DWI ADC
        resolve_4scan_trace_tra_192_ADC|ADC (10^-6 mm2/s)""",
    "swi": "SWI_Images|Ax SWAN|t2_swi3d_tra_p2|SWIp|Susceptibility weighted",
    "pd": "PD tra|pd_tse_fs_cor|Proton density fs|PDW_TSE",
    None: """
        T2* GRE difference|DTI FA map diff|T2 trace|mpr iso|MPR|diffusion localizer|Diffusion Scout|AAHead_Scout
        localizer|3-plane loc|3Plane Loc FGRE|Survey|T1 localiser|SmartBrain|ASSET Cal|Reference scan
        gre_field_mapping|B0 map|ep2d_perf_p2|T1 DCE|DSC perfusion|relCBV|MTT|pcasl_3d|ASL|T1 dynamic|SWI phase
        Pha_Images|Pha_Images SWI|FILT_PHA: Ax SWAN|mIP_Images(SW)|SWI MIP|MinIP SWAN|T1 SUB|T1 post Gd subtraction
        T1 post minus pre|T1 POST-PRE|T1_post_Gd_minus_pre
        T1 difference|T1 diff|TOF_3D_multi-slab|MRA COW|Phase contrast venogram|ep2d_diff_mddw_30_FA|DTI 64 dir
        ColFA|Exponential ADC|eADC|ep2d_diff_b0|DWI b=0|T2_map|T1 map|t1 mapping|MP2RAGE T1_Images|QSM|R2star
        bold rest|fmri motor|svs_se_30|T1 T2|T1 pre and post contrast|T1 pre/post|T1 with and without contrast
        T1 w/wo|T1 w and wo|T1 w & w/o|T1 +/- C|T1 contrast|T1 C|T2 STIR|STIR cor|DIR SPACE|PSIR|T2 GRE|T2W_FFE
        t2_fl2d_tra_hemo|T2*|gre|unknown|Head|traces of flow|postural|nativity|detracted|PD T2 TSE|MERGE
        adconcentration|contrast|Dose Report|screen capture|tirm cor|T1 post visit|T2 star
        AX T2 STAR GRE|T2 GRADIENT ECHO|t2_tirm_cor|TIRM T2|T1 delayed|Ref_Head|3 Plane Loc|3-pl LOC|coil sensitivity
        Test Bolus|Premonitoring|T2 hemo""",
}  # fmt: skip

TABLE = [
    (description.strip(), modality)
    for modality, descriptions in DESCRIPTIONS.items()
    for line in descriptions.splitlines()
    for description in line.split("|")
    if description.strip()
]


@pytest.mark.parametrize(("description", "modality"), TABLE)
def test_whole_words_of_descriptions(description: str, modality: str | None):
    verdict = judge_series("MR", description, NOTHING)
    assert verdict.modality == modality
    assert bool(verdict.reason) == (modality is None)


@pytest.mark.parametrize(("description", "modality"), TABLE)
def test_spelling_in_capitals_or_underscores_changes_nothing(description: str, modality: str | None):
    assert judge_series("MR", description.upper(), NOTHING).modality == modality
    assert judge_series("MR", description.replace(" ", "_"), NOTHING).modality == modality


@given(
    st.sampled_from(["gd", "post", "contrast", "diff", "trace", "t1", "t2", "flair", "adc", "swi", "ct", "pd", "km"]),
    st.text("aeiouklmz", min_size=2, max_size=5),
    st.booleans(),
)
def test_a_part_of_a_word_says_nothing(word: str, more: str, is_before: bool):
    joined = more + word + more if is_before else f"{word}q{more}"
    assert judge_series("MR", joined, NOTHING).modality is None
    assert judge_series("MR", f"t1 {joined}", NOTHING).modality == "t1"


@given(st.sampled_from(["no", "without", "w/o", "non", "ohne", "sans", "pre", "vor", "senza"]),
       st.sampled_from(["contrast", "gd", "gad", "KM", "gadolinium", "IV contrast", "Gadovist", "contrast agent"]),
       st.sampled_from(["T1 {}", "t1_mprage_{}", "{} T1", "MPRAGE {} sag"]))  # fmt: skip
def test_a_negation_goes_first(negation: str, agent: str, form: str):
    assert judge_series("MR", form.format(f"{negation} {agent}"), NOTHING).modality == "t1"


SPIN_ECHO = frozenset({"SE"})
ATTRIBUTES = [
    ("t1_mprage", {"agent": "Gadovist"}, "t1ce"),
    ("t1_mprage", {"agent": "NONE"}, "t1"),
    ("t1_mprage", {"agent": "no contrast"}, "t1"),
    ("T1 pre contrast", {"agent": "Gadovist"}, None),
    ("T1 post gd", {"agent": "none"}, None),
    ("T1 contrast", {"agent": "Dotarem"}, "t1ce"),
    ("t2_flair", {"agent": "Gadovist"}, "flair"),
    ("ep2d_diff_3scan", {"image_type": ("DERIVED", "PRIMARY", "DIFFUSION", "ADC", "ND")}, "adc"),
    ("ep2d_diff_3scan", {"image_type": ("DERIVED", "PRIMARY", "DIFFUSION", "TRACEW", "ND"), "b_value": 1000.0}, "dwi"),
    ("ep2d_diff_3scan", {"image_type": ("DERIVED", "PRIMARY", "DIFFUSION", "FA", "ND")}, None),
    ("ep2d_diff_3scan_trace", {"b_value": 0.0}, None),
    ("ep2d_diff_3scan_trace", {"b_value": 50.0}, None),
    ("ep2d_diff_3scan_trace", {"b_value": 800.0}, "dwi"),
    ("Brain", {"b_value": 1000.0}, "dwi"),
    ("ADC", {"b_value": 1000.0}, "adc"),
    ("T2_TSE", {"b_value": 0.0}, "t2"),
    ("T2_TSE", {"b_value": 1000.0}, None),
    ("t1_mprage", {"image_type": ("DERIVED", "SECONDARY", "MPR")}, "t1"),
    ("t1_mprage", {"image_type": ("ORIGINAL", "PRIMARY", "LOCALIZER")}, None),
    ("t1_mprage", {"image_type": ("DERIVED", "PRIMARY", "M", "SUB")}, None),
    ("SWI_Images", {"image_type": ("ORIGINAL", "PRIMARY", "P", "ND")}, None),
    ("ax t2", {"image_type": ("ORIGINAL", "PRIMARY", "M", "SWI")}, "swi"),
    ("t2_tirm_tra", {"sequence": frozenset({"SE", "IR"}), "inversion_ms": 2500.0, "echo_ms": 90.0,
                     "repetition_ms": 9000.0}, "flair"),
    ("brain", {"sequence": SPIN_ECHO, "echo_ms": 12.0, "repetition_ms": 500.0}, "t1"),
    ("brain", {"sequence": SPIN_ECHO, "echo_ms": 12.0, "repetition_ms": 500.0, "agent": "Gadovist"}, "t1ce"),
    ("brain", {"sequence": SPIN_ECHO, "echo_ms": 100.0, "repetition_ms": 4000.0}, "t2"),
    ("brain", {"sequence": SPIN_ECHO, "echo_ms": 20.0, "repetition_ms": 3000.0}, "pd"),
    ("PD T2", {"sequence": SPIN_ECHO, "echo_ms": 20.0, "repetition_ms": 3000.0}, "pd"),
    ("PD T2", {"sequence": SPIN_ECHO, "echo_ms": 90.0, "repetition_ms": 3000.0}, "t2"),
    ("T1 SE", {"sequence": SPIN_ECHO, "echo_ms": 100.0, "repetition_ms": 4000.0}, None),
    ("T2 SE", {"sequence": SPIN_ECHO, "echo_ms": 12.0, "repetition_ms": 500.0}, None),
    ("mpr iso", {"sequence": frozenset({"GR", "IR", "SK", "SP", "MP"}), "inversion_ms": 900.0, "echo_ms": 3.0,
                 "repetition_ms": 2000.0}, "t1"),
    ("", {"contrast": "FLUID_ATTENUATED"}, "flair"),
    ("t1", {"contrast": "PERFUSION"}, None),
    ("T1 SE", {"contrast": "T2"}, None),
]  # fmt: skip


@pytest.mark.parametrize(("description", "stated", "modality"), ATTRIBUTES)
def test_attributes_go_before_words(description: str, stated: dict[str, object], modality: str | None):
    assert judge_series("MR", description, replace(NOTHING, **stated)).modality == modality


@pytest.mark.parametrize(
    ("description", "modality"),
    [
        ("Head 5.0 H31s", "ct"),
        ("CT Head w/o contrast", "ct"),
        ("Topogram 0.6 T80s", None),
        ("CTA COW", None),
        ("CBF", None),
    ],
)
def test_computed_tomography(description: str, modality: str | None):
    assert judge_series("CT", description, NOTHING).modality == modality
    assert judge_series("PT", description, NOTHING).modality is None
