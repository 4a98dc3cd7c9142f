"""The bundle: what it holds, what it refuses, and that it gives the same numbers anywhere."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import clvcast
from clvcast.errors import BundleError, ConfigError, StoreError
from clvcast.serve.bundle import FORMAT_VERSION


@pytest.fixture
def bundle(shop_model: clvcast.Model, tmp_path: Path) -> Path:
    shop_model.save(tmp_path / "bundle")
    return tmp_path / "bundle"


def test_a_saved_model_gives_the_same_forecasts(
    bundle: Path, shop_model: clvcast.Model, shop_orders: clvcast.Orders
) -> None:
    loaded = clvcast.load_model(bundle)
    assert loaded.version == shop_model.version
    pd.testing.assert_frame_equal(
        clvcast.score(loaded, shop_orders),
        clvcast.score(shop_model, shop_orders),
        check_exact=True,
    )


def test_it_holds_text_and_numbers_alone(bundle: Path, shop_lines: pd.DataFrame) -> None:
    names = {path.name for path in bundle.iterdir()}
    heads = {f"{head}-{seed}.txt" for head in ("churn", "spend") for seed in range(3)}
    assert names == heads | {"manifest.json", "model.json", "golden.json"}
    text = "".join(path.read_text() for path in bundle.iterdir())
    assert not any(customer_id in text for customer_id in shop_lines["customer_id"].unique())
    for private in (str(Path.home()), str(bundle.parent), "2020-1", "2021-0", "num_threads"):
        assert private not in text, private


def test_saving_replaces_a_bundle_and_nothing_else(
    bundle: Path, shop_model: clvcast.Model, tmp_path: Path
) -> None:
    before = {path.name: path.read_bytes() for path in bundle.iterdir()}
    shop_model.save(bundle)
    assert {path.name: path.read_bytes() for path in bundle.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me.png").touch()
    with pytest.raises(StoreError, match="is no bundle"):
        shop_model.save(tmp_path / "photos")


def edit_manifest(change: Callable[[dict[str, object]], object]) -> Callable[[Path], None]:
    def damage(bundle: Path) -> None:
        manifest = json.loads((bundle / "manifest.json").read_text())
        change(manifest)
        (bundle / "manifest.json").write_text(json.dumps(manifest))

    return damage


def cut(name: str) -> Callable[[Path], None]:
    return lambda bundle: (bundle / name).write_bytes((bundle / name).read_bytes()[:-200]) and None


def swap(bundle: Path) -> None:
    (bundle / "churn-0.txt").rename(bundle / "x")
    (bundle / "churn-1.txt").rename(bundle / "churn-0.txt")
    (bundle / "x").rename(bundle / "churn-1.txt")


def edit(bundle: Path) -> None:
    text = (bundle / "model.json").read_text()
    (bundle / "model.json").write_text(text.replace('"margin_rate": 1.0', '"margin_rate": 0.9'))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut("churn-0.txt"), "is damaged: churn-0.txt must have"),
        (cut("model.json"), "is damaged: model.json must have"),
        (cut("manifest.json"), "its manifest is no JSON"),
        (edit, "was edited: model.json does not match its digest"),
        (swap, "churn-[01].txt"),
        (lambda bundle: (bundle / "golden.json").unlink(), "lacks golden.json"),
        (lambda bundle: (bundle / "manifest.json").unlink(), "is no bundle"),
        (
            edit_manifest(lambda m: m.update(format_version=FORMAT_VERSION + 1)),
            "must be of format 1, got 2; update clvcast",
        ),
        (edit_manifest(lambda m: m.update(format_version=0)), "got 0; train it again"),
        (edit_manifest(lambda m: m.update(files={})), "does not hold a model"),
        (edit_manifest(lambda m: m.update(files=["a"])), "lists no files"),
        (edit_manifest(lambda m: m.update(model_version="0")), "is not the model"),
        (edit_manifest(lambda m: m["files"].update({"../x": {}})), "lists no files"),  # type: ignore[attr-defined]
    ],
)
def test_a_damaged_bundle_is_refused(
    bundle: Path, damage: Callable[[Path], None], message: str
) -> None:
    damage(bundle)
    with pytest.raises(BundleError, match=message):
        clvcast.load_model(bundle)


def test_a_flipped_bit_anywhere_is_found(bundle: Path) -> None:
    chance = random.Random(0)
    for path in sorted(bundle.iterdir()):
        content = path.read_bytes()
        for _ in range(3):
            damaged = bytearray(content)
            damaged[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
            path.write_bytes(damaged)
            if path.name == "manifest.json" and _only_libraries_differ(content, bytes(damaged)):
                continue
            with pytest.raises(BundleError):
                clvcast.load_model(bundle)
        path.write_bytes(content)
    clvcast.load_model(bundle)


def _only_libraries_differ(before: bytes, after: bytes) -> bool:
    """Library versions are for people; nothing is computed from them."""
    try:
        left, right = json.loads(before), json.loads(after)
    except ValueError:
        return False
    if not isinstance(right, dict):
        return False
    left.pop("libraries", None)
    return bool(left == {k: v for k, v in right.items() if k in left} and len(right) == 4)


def test_golden_rows_are_scored_at_load(bundle: Path) -> None:
    import hashlib

    golden = json.loads((bundle / "golden.json").read_text())
    golden["a whale"]["clv"] *= 1 + 1e-6
    content = json.dumps(golden).encode()
    (bundle / "golden.json").write_bytes(content)
    manifest = json.loads((bundle / "manifest.json").read_text())
    entry = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    manifest["files"]["golden.json"] = entry
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="golden row 'a whale' must forecast clv"):
        clvcast.load_model(bundle)


def test_models_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(BundleError, match="there is no bundle folder"):
        clvcast.load_model("nowhere")
    with pytest.raises(StoreError, match="there is no MLflow store here"):
        clvcast.load_model("models:/clv@champion")
    with pytest.raises(StoreError, match="train a model first"):
        clvcast.load_model("models:/clv@champion", "sqlite:///none.db")
    with pytest.raises(ConfigError, match="a model is a bundle folder"):
        clvcast.load_model("s3://somewhere/model")
    assert list(tmp_path.iterdir()) == []
