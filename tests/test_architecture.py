"""The picture and the table of the architecture are current, and no folder holds it all."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

MOST_OF_THE_CODE = 0.3
MOST_LINES = 150


@pytest.fixture(scope="module")
def drawing(root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("drawing", root / "docs" / "draw_architecture.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_picture_and_the_table_are_current(
    drawing: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert len(drawing.PAGE.read_text(encoding="utf-8").splitlines()) < MOST_LINES
    monkeypatch.setattr(sys, "argv", ["draw_architecture.py", "--check"])
    drawing.main()
    stale = tmp_path / "architecture.svg"
    stale.write_text(drawing.PICTURE.read_text(encoding="utf-8").replace("orders", "order"))
    monkeypatch.setattr(drawing, "PICTURE", stale)
    with pytest.raises(
        SystemExit, match=r"architecture\.svg differs from the code; run: python docs"
    ):
        drawing.main()


def test_every_part_of_the_package_has_a_layer(drawing: ModuleType, root: Path) -> None:
    parts = {path.parent.name for path in root.glob("*/__init__.py")}
    parts |= {path.stem for path in root.glob("*.py") if path.stem != "__init__"}
    assert {part for row in drawing.read_layers() for part in row} == parts


def test_no_folder_holds_more_than_its_share(drawing: ModuleType) -> None:
    shares = drawing.measure_shares(drawing.read_layers())
    assert sum(shares.values()) == pytest.approx(1)
    assert max(shares.values()) < MOST_OF_THE_CODE, shares


def test_an_arrow_of_the_data_is_an_import_the_other_way(drawing: ModuleType) -> None:
    drawing.check_flow(drawing.read_imports())
    with pytest.raises(SystemExit, match="features imports no orders"):
        drawing.check_flow(drawing.read_imports() | {"features": set()})


def test_an_import_that_another_path_implies_is_not_drawn(drawing: ModuleType) -> None:
    imports = {"top": {"middle", "bottom"}, "middle": {"bottom"}, "bottom": set()}
    assert drawing.drop_implied(imports) == {
        "top": {"middle"},
        "middle": {"bottom"},
        "bottom": set(),
    }
