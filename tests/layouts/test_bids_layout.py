"""What is special to BIDS; the rest is in tests/test_all_layouts.py."""

from pathlib import Path

import pytest

from lesionlab.core.errors import LayoutError
from lesionlab.layouts import Bids


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_modalities_are_known_by_suffix_and_contrast(tmp_path: Path):
    touch(
        tmp_path,
        "sub-1/anat/sub-1_T1w.nii.gz",
        "sub-1/anat/sub-1_ce-gadolinium_T1w.nii.gz",
        "sub-1/anat/sub-1_acq-3d_FLAIR.nii",
        "sub-1/dwi/sub-1_dwi.nii.gz",
        "sub-1/dwi/sub-1_adc.nii.gz",
        "sub-1/func/sub-1_task-rest_bold.nii.gz",
        "sub-1/anat/sub-1_T2star.nii.gz",
    )
    dataset = Bids(tmp_path)
    (case,) = dataset.cases()
    assert dataset.modalities == ("flair", "t1", "t1ce", "dwi", "adc", "t2star")
    assert case.images["t1"].name == "sub-1_T1w.nii.gz"
    assert (case.id, case.group, case.label) == ("sub-1", "sub-1", None)


def test_sessions_are_cases_of_one_patient(tmp_path: Path):
    touch(tmp_path, "sub-1/ses-a/anat/sub-1_ses-a_T1w.nii", "sub-1/ses-b/anat/sub-1_ses-b_T1w.nii")
    assert [(case.id, case.group) for case in Bids(tmp_path).cases()] == [
        ("sub-1_ses-a", "sub-1"),
        ("sub-1_ses-b", "sub-1"),
    ]


@pytest.mark.parametrize(
    "mask",
    [
        "derivatives/sub-1/sub-1_msk.nii.gz",
        "derivatives/manual/sub-1/anat/sub-1_space-orig_label-lesion_mask.nii.gz",
        "derivatives/manual/sub-1/anat/sub-1_label-L_desc-T1lesion_mask.nii.gz",
        "derivatives/manual/sub-1/anat/sub-1_dseg.nii",
        "sub-1/anat/sub-1_lesion_roi.nii.gz",
    ],
)
def test_places_of_masks(tmp_path: Path, mask: str):
    touch(tmp_path, "sub-1/anat/sub-1_T1w.nii.gz", "derivatives/t/sub-1/anat/sub-1_desc-brain_mask.nii.gz", mask)
    (case,) = Bids(tmp_path).cases()
    assert case.label == tmp_path / mask


def test_the_mask_of_the_brain_is_that_of_the_scans_space(tmp_path: Path):
    brain = "derivatives/t/sub-1/anat/sub-1_desc-brain_mask.nii.gz"
    other = "derivatives/t/sub-1/anat/sub-1_space-MNI152NLin2009cAsym_desc-brain_mask.nii.gz"
    touch(tmp_path, "sub-1/anat/sub-1_T1w.nii.gz", brain, other)
    (case,) = Bids(tmp_path).cases()
    assert (case.brain_mask, case.label) == (tmp_path / brain, None)
    touch(tmp_path, "derivatives/u/sub-1/anat/sub-1_desc-brain_mask.nii.gz")
    (case,) = Bids(tmp_path).cases()
    assert case.brain_mask is None


def test_a_lesion_goes_before_other_masks(tmp_path: Path):
    masks = ("derivatives/a/sub-1/anat/sub-1_label-WM_mask.nii", "derivatives/a/sub-1/anat/sub-1_label-lesion_mask.nii")
    touch(tmp_path, "sub-1/anat/sub-1_T1w.nii.gz", *masks)
    (case,) = Bids(tmp_path).cases()
    assert case.label == tmp_path / masks[1]


@pytest.mark.parametrize("subject", ["brain1", "head1", "lesion2", "tissue", "aseg", "L", "GM"])
@pytest.mark.parametrize("mask", ["label-L_mask", "label-lesion_mask", "label-stroke_mask", "dseg", "desc-manual_mask"])
def test_the_name_of_a_subject_says_nothing_about_masks(tmp_path: Path, subject: str, mask: str):
    stem = f"sub-{subject}/anat/sub-{subject}"
    others = [
        f"derivatives/a/{stem}_{name}_mask.nii" for name in ("label-GM", "label-brain", "desc-brain", "label-CSF")
    ]
    touch(tmp_path, f"{stem}_T1w.nii.gz", f"derivatives/a/{stem}_{mask}.nii", *others)
    (case,) = Bids(tmp_path).cases()
    assert case.label == tmp_path / f"derivatives/a/{stem}_{mask}.nii"
    assert len(case.notes) == 3


def test_a_letter_is_a_lesion_only_as_a_label(tmp_path: Path):
    masks = (
        "derivatives/a/sub-1/anat/sub-1_hemi-L_label-GM_mask.nii",
        "derivatives/a/sub-1/anat/sub-1_label-L_mask.nii",
    )
    touch(tmp_path, "sub-1/anat/sub-1_T1w.nii.gz", *masks)
    (case,) = Bids(tmp_path).cases()
    assert case.label == tmp_path / masks[1]


def test_phase_images_and_defacing_are_no_modalities(tmp_path: Path):
    touch(
        tmp_path,
        "sub-1/anat/sub-1_part-mag_T1w.nii",
        "sub-1/anat/sub-1_part-phase_T1w.nii",
        "sub-1/anat/sub-1_mod-T1w_defacemask.nii",
        "sub-1/dwi/sub-1_trace.nii",
        "sub-1/dwi/sub-1_ADC.nii",
    )
    (case,) = Bids(tmp_path).cases()
    assert {modality: path.name for modality, path in case.images.items()} == {
        "t1": "sub-1_part-mag_T1w.nii",
        "dwi": "sub-1_trace.nii",
        "adc": "sub-1_ADC.nii",
    }
    assert sorted(case.notes) == [
        "sub-1_mod-T1w_defacemask.nii is not used: another image or mask",
        "sub-1_part-phase_T1w.nii is not used: another image or mask",
    ]


def test_two_masks_are_refused_until_one_is_chosen(tmp_path: Path):
    masks = [f"derivatives/{rater}/sub-1/anat/sub-1_label-lesion_mask.nii" for rater in ("anna", "ben")]
    touch(tmp_path, "sub-1/anat/sub-1_T1w.nii.gz", *masks)
    with pytest.raises(LayoutError, match="mask in lesionlab"):
        list(Bids(tmp_path).cases())
    (tmp_path / "lesionlab.toml").write_text('mask = "*/ben/*_mask"')
    (case,) = Bids(tmp_path).cases()
    assert case.label == tmp_path / masks[1]


def test_patterns_choose_modalities_and_make_them_obligatory(tmp_path: Path):
    touch(
        tmp_path,
        "sub-1/anat/sub-1_run-1_T1w.nii.gz",
        "sub-1/anat/sub-1_run-2_T1w.nii.gz",
        "sub-1/anat/sub-1_T2w.nii.gz",
        "sub-2/anat/sub-2_run-1_T1w.nii.gz",
        "sub-2/anat/sub-2_T2w.nii.gz",
    )
    with pytest.raises(LayoutError, match="one image of modality 't1' for case 'sub-1'"):
        list(Bids(tmp_path).cases())
    (tmp_path / "lesionlab.toml").write_text('[modalities]\nt1 = "*_run-1_T1w"')
    dataset = Bids(tmp_path)
    assert dataset.modalities == ("t1",)
    assert [case.images["t1"].name for case in dataset.cases()] == [
        "sub-1_run-1_T1w.nii.gz",
        "sub-2_run-1_T1w.nii.gz",
    ]
    (tmp_path / "sub-2/anat/sub-2_run-1_T1w.nii.gz").unlink()
    with pytest.raises(LayoutError, match="modality 't1' for case 'sub-2'"):
        list(dataset.cases())


def visits(tmp_path: Path) -> dict[str, str]:
    touch(tmp_path, "sub-1/ses-2/anat/sub-1_ses-2_T1w.nii", "sub-1/ses-10/anat/sub-1_ses-10_T1w.nii")
    return {case.id: case.visit for case in Bids(tmp_path).cases()}


def test_a_table_of_sessions_says_when_they_were_acquired(tmp_path: Path):
    table = "session_id\tacq_time\tscore\nses-2\t2011-03-01T09:30:00\t1\nses-10\t2009-06-15\t2\n"
    (tmp_path / "sub-1").mkdir()
    (tmp_path / "sub-1" / "sub-1_sessions.tsv").write_bytes(table.encode("utf-16"))
    assert visits(tmp_path) == {"sub-1_ses-2": "2011-03-01T09:30:00", "sub-1_ses-10": "2009-06-15"}


def test_else_the_earliest_scan_says_it(tmp_path: Path):
    for session, times in (("ses-2", ("n/a", "2011-03-01T09:30:00")), ("ses-10", ("2009-06-15T23:30:00-02:00", ""))):
        place = tmp_path / "sub-1" / session
        place.mkdir(parents=True)
        rows = [f"anat/{number}.nii\t{time}" for number, time in enumerate(times)]
        (place / f"sub-1_{session}_scans.tsv").write_text("\n".join(["filename\tacq_time", *rows]))
    (tmp_path / "sub-1" / "sub-1_sessions.tsv").write_text("session_id\tacq_time\nses-2\tn/a\n")
    assert visits(tmp_path) == {"sub-1_ses-2": "2011-03-01T09:30:00", "sub-1_ses-10": "2009-06-16T01:30:00"}


@pytest.mark.parametrize(
    "table", ["", "session_id\nses-2\n", "session_id\tacq_time\nses-2\t13:45:30\nses-10\t1/2/09\n"]
)
def test_what_says_no_date_leaves_the_order_of_ids(tmp_path: Path, table: str):
    (tmp_path / "sub-1").mkdir()
    (tmp_path / "sub-1" / "sub-1_sessions.tsv").write_text(table)
    assert set(visits(tmp_path).values()) == {""}


def test_participants_have_site_split_and_category(tmp_path: Path):
    touch(tmp_path, "sub-1/anat/sub-1_T1w.nii", "sub-2/anat/sub-2_T1w.nii")
    table = "participant_id\tage\tsite\tsplit\tgroup\nsub-1\t60\tUlm\ttest\tpatient\nsub-2\tn/a\tn/a\tn/a\tn/a\n"
    (tmp_path / "participants.tsv").write_text(table)
    first, second = Bids(tmp_path).cases()
    assert (first.site, first.split, first.category) == ("Ulm", "test", "patient")
    assert (second.site, second.split, second.category) == ("", None, None)


def test_raw_data_beside_derivatives(tmp_path: Path):
    touch(tmp_path, "rawdata/sub-1/anat/sub-1_FLAIR.nii", "derivatives/sub-1/anat/sub-1_mask.nii")
    (tmp_path / "rawdata" / "participants.tsv").write_text("participant_id\tsplit\nsub-1\ttest\n")
    (case,) = Bids(tmp_path).cases()
    assert case.split == "test"
    assert case.label is not None


def test_a_mask_without_any_image_is_refused(tmp_path: Path):
    touch(tmp_path, "sub-1/anat/sub-1_FLAIR.nii", "sub-2/anat/sub-2_mask.nii")
    with pytest.raises(LayoutError, match="'sub-2'"):
        list(Bids(tmp_path).cases())


def test_one_bids_layout_reads_isles(real_data: Path, tmp_path: Path):
    scans = real_data / "brain" / "stroke_isles22_case9"
    stem = "sub-strokecase0009_ses-0001"
    for name, place in (("dwi", "dwi"), ("adc", "dwi"), ("flair", "anat")):
        file = tmp_path / "sub-strokecase0009" / "ses-0001" / place / f"{stem}_{name}.nii.gz"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.symlink_to(scans / f"{name}.nii.gz")
    mask = tmp_path / "derivatives" / "sub-strokecase0009" / "ses-0001" / f"{stem}_msk.nii.gz"
    mask.parent.mkdir(parents=True)
    mask.symlink_to(scans / "mask.nii.gz")
    (case,) = Bids(tmp_path).cases()
    assert set(case.images) == {"dwi", "adc", "flair"}
    assert case.label == mask
