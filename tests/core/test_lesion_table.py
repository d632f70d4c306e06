from pathlib import Path

import pytest

from lesionlab.core.errors import StorageError
from lesionlab.core.lesion_table import LESIONS_FILE, LesionRow, read_lesions, write_lesions


def lesion(volume_mm3: float, *, case: str = "a,1") -> LesionRow:
    return LesionRow(
        case=case,
        group="a",
        site="",
        region="lesion",
        side="reference",
        number=1,
        volume_mm3=volume_mm3,
        is_touched=volume_mm3 > 20,
        dice=1 / 3,
    )


def test_reads_back_exactly_what_it_wrote(tmp_path: Path) -> None:
    rows = (lesion(0.1 + 0.2), lesion(1e4, case='ç"\n'))
    write_lesions(tmp_path / LESIONS_FILE, rows)
    assert read_lesions(tmp_path / LESIONS_FILE) == rows


def test_lesions_of_pictures_have_areas_in_pixels(tmp_path: Path) -> None:
    rows = (lesion(12.0), lesion(700.0))
    write_lesions(tmp_path / LESIONS_FILE, rows, kind="picture")
    assert "mm" not in (text := (tmp_path / LESIONS_FILE).read_text())
    assert text.splitlines()[0] == "case,group,site,region,side,number,area_px,is_touched,dice"
    assert read_lesions(tmp_path / LESIONS_FILE) == rows


@pytest.mark.parametrize(
    ("volume_mm3", "size_class"),
    [(10.0, "to 10 mm³"), (10.1, "10 to 50 mm³"), (500.0, "50 to 500 mm³"), (501.0, "above 500 mm³")],
)
def test_a_limit_belongs_to_the_smaller_class(volume_mm3: float, size_class: str) -> None:
    assert lesion(volume_mm3).size_class == size_class


@pytest.mark.parametrize("text", ["", "case,group\na,b\n"])
def test_what_is_no_table_is_refused_or_holds_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / LESIONS_FILE).write_text(text)
    if not text:
        assert read_lesions(tmp_path / LESIONS_FILE) == ()
        return
    with pytest.raises(StorageError, match="evaluate"):
        read_lesions(tmp_path / LESIONS_FILE)
