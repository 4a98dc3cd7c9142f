"""The bundle: what it holds, what it refuses, and that it gives the same numbers anywhere."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import re
import shutil
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
from conftest import Run

import clvcast
from clvcast.errors import BundleError, ConfigError, StoreError
from clvcast.models.blend import HEADS, LATER
from clvcast.models.bundle import FORMAT_VERSION, hash_bundle
from clvcast.models.golden_rows import GoldenFile, check_golden_rows
from clvcast.models.model import hash_content
from clvcast.models.trees.lightgbm_trees import Trees
from clvcast.models.trees.quick_scorer import FlatTrees
from clvcast.models.trees.validation import check_trees

APART = ("golden.json", "reference.json")  # no part of the model's version


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
    heads = {f"{head}-{seed}.txt" for head in (*HEADS, LATER) for seed in range(3)}
    assert names == heads | {"manifest.json", "model.json", "golden.json", "reference.json"}
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
    with pytest.raises(StoreError, match="is not a clvcast bundle"):
        shop_model.save(tmp_path / "photos")


def edit_manifest(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def damage(bundle: Path) -> None:
        manifest = json.loads((bundle / "manifest.json").read_text())
        change(manifest)
        (bundle / "manifest.json").write_text(json.dumps(manifest))

    return damage


def cut(name: str) -> Callable[[Path], None]:
    def damage(bundle: Path) -> None:
        (bundle / name).write_bytes((bundle / name).read_bytes()[:-200])

    return damage


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
        (cut("manifest.json"), "its manifest is not one"),
        (edit, "was edited: model.json does not match its digest"),
        (swap, "churn-[01].txt"),
        (lambda bundle: (bundle / "golden.json").unlink(), "lacks golden.json"),
        (lambda bundle: (bundle / "manifest.json").unlink(), "is no bundle"),
        (
            edit_manifest(lambda m: m.update(format_version=FORMAT_VERSION + 1)),
            r"must be of format 2 or 3, got 4; clvcast 0\.\S+, which made it, reads it; update",
        ),
        (
            edit_manifest(lambda m: m.update(format_version=0)),
            r"got 0; clvcast 0\.\S+, which made it, reads it; or train it again",
        ),
        (
            edit_manifest(lambda m: m.update(format_version=1, libraries={})),
            "got 1; the clvcast that made it can; or train it again",
        ),
        (edit_manifest(lambda m: m.update(files={})), "is not the model"),
        (edit_manifest(lambda m: m.update(files=["a"])), "its manifest is not one: files"),
        (edit_manifest(lambda m: m.pop("model_version")), "its manifest is not one: model_version"),
        (edit_manifest(lambda m: m.update(format_version="1")), "not one: format_version"),
        (lambda bundle: (bundle / "manifest.json").write_text("[" * 9999), "is not one"),
        (edit_manifest(lambda m: m.update(model_version="0")), "is not the model"),
        (edit_manifest(lambda m: m["files"].update({"../x": {}})), "is not one: files"),
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


def reseal(bundle: Path, name: str, content: str) -> None:
    """Replace a file and make manifest and version fit, as somebody who means it would."""
    (bundle / name).write_text(content)
    manifest = json.loads((bundle / "manifest.json").read_text())
    files = {path.name: path.read_bytes() for path in bundle.iterdir()}
    digest = hashlib.sha256(content.encode()).hexdigest()
    manifest["files"][name] = {"bytes": len(content.encode()), "sha256": digest}
    model_files = {n: files[n] for n in manifest["files"] if n not in APART}
    manifest["model_version"] = hash_content(model_files)
    (bundle / "manifest.json").write_text(json.dumps(manifest))


def first(golden: dict[str, Any]) -> Any:
    """The golden rows at the first cutoff."""
    return next(iter(golden["rows"].values()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda g: first(g)["a whale"].update(clv=first(g)["a whale"]["clv"] * (1 + 1e-6)),
            "golden row 'a whale'",
        ),
        (lambda g: first(g).pop("a cent"), "not the ones this version knows"),
        (lambda g: first(g)["a cent"].clear(), "not the ones this version knows"),
        (lambda g: first(g).update(more={}), "not the ones this version knows"),
        (lambda g: first(g)["a cent"].update(clv="much"), "must forecast clv 'much'"),
        (lambda g: first(g)["a cent"].update(clv=None), "must forecast clv None"),
        (lambda g: first(g)["a cent"].update(tier="high"), "must forecast tier 'high'"),
        (lambda g: first(g)["a cent"].update(own_share=0.5), "must forecast own_share 0.5"),
        (lambda g: g["longer"].update({"a cent": 0.5}), "must forecast clv 0.5"),
        (lambda g: g["tables"]["money"].reverse(), "golden table 'money'"),
        (lambda g: g["tables"]["clv sure upper"].pop(), "golden table 'clv sure upper'"),
        (lambda g: g["inputs"].pop("money"), "golden tables are not the ones"),
        (lambda g: g["rows"].update({"2020-04-01": first(g)}), "not the ones this version knows"),
        (lambda g: g.pop("rows"), "does not hold a model"),
    ],
)
def test_golden_rows_are_scored_at_load(
    bundle: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    golden = json.loads((bundle / "golden.json").read_text())
    change(golden)
    reseal(bundle, "golden.json", json.dumps(golden))
    with pytest.raises(BundleError, match=message):
        clvcast.load_model(bundle)


def test_trees_that_split_missing_from_present_values_are_read() -> None:
    """LightGBM writes the threshold inf where one side of a split holds the missing
    values alone.
    """
    random = np.random.default_rng(0)
    inputs = random.random((400, 2)).astype(np.float32)
    target = inputs[:, 0].copy()  # LightGBM warns of slices
    data = lightgbm.Dataset(inputs, target, feature_name=["a", "b"])
    booster = lightgbm.train({"verbose": -1, "num_leaves": 2, "objective": "tweedie"}, data, 1)
    text = Trees.from_booster(booster).text

    def with_threshold(value: str) -> str:
        changed = re.sub(r"threshold=\S+", f"threshold={value}", text)
        (size,) = re.findall(r"tree_sizes=(\d+)", text)
        grown = int(size) + len(changed) - len(text)
        return changed.replace(f"tree_sizes={size}", f"tree_sizes={grown}")

    check_trees(with_threshold("inf"), ("a", "b"), "churn-0.txt")
    leaves = Trees.from_text(with_threshold("inf")).predict(inputs)
    assert len(set(leaves)) == 1  # every present value is below
    with pytest.raises(BundleError, match="threshold must have"):
        check_trees(with_threshold("nan"), ("a", "b"), "churn-0.txt")


@pytest.mark.parametrize(
    ("pattern", "replacement", "message"),
    [
        (r"left_child=\S+", "left_child=0", "nodes do not form a tree|form a cycle"),
        (
            r"(left_child=)(\S+)( .*)?\n(right_child=)(\S+)",
            r"\g<1>\5\3\n\4\5",
            "do not form a tree",
        ),
        (r"split_feature=\S+", "split_feature=999", "split_feature is out of range"),
        (r"split_feature=\S+", "split_feature=-1", "split_feature is out of range"),
        (r"num_leaves=\d+", "num_leaves=99999", "must have 99998 numbers"),
        (r"num_leaves=\d+", "num_leaves=-7", "num_leaves or num_cat is none"),
        (r"num_cat=0", "num_cat=3", "num_leaves or num_cat is none"),
        (r"leaf_value=\S+", "leaf_value=nan", "leaf_value must have"),
        (r"threshold=\S+", "threshold=x", "threshold must have"),
        (r"threshold=\S+", "threshold=nan", "threshold must have"),
        (r"decision_type=\S+", "decision_type=1", "splits by category"),
        (r"num_class=1", "num_class=9", "its num_class is not one"),
        (r"max_feature_idx=\d+", "max_feature_idx=7", "max_feature_idx"),
        (r"feature_names=\S+", "feature_names=other", "trained on different features"),
        (r"Tree=3\n", "Tree=4\n", "tree 3 does not begin"),
        (r"\ntree_sizes=\S+", "\ntree_sizes=1", "tree_sizes do not add up"),
        (r"end of trees\n", "", "no end"),
    ],
)
def test_malformed_trees_never_reach_lightgbm(
    bundle: Path, pattern: str, replacement: str, message: str
) -> None:
    text = (bundle / "churn-0.txt").read_text()
    changed, count = re.subn(pattern, replacement, text, count=1)
    assert count == 1
    if "tree_sizes" not in pattern:  # only the first tree is shorter or longer
        grown = len(changed) - len(text) if "=" in pattern and "Tree" not in pattern else 0
        head = pattern.startswith(("num_class", "max_feature", "feature_names"))
        sizes = re.search(r"tree_sizes=(\d+)", changed)
        assert sizes is not None
        new = f"tree_sizes={int(sizes[1]) + (0 if head else grown)}"
        changed = changed.replace(sizes[0], new, 1)
    reseal(bundle, "churn-0.txt", changed)
    with pytest.raises(BundleError, match=message):
        clvcast.load_model(bundle)


def test_models_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    with pytest.raises(BundleError, match="there is no bundle folder"):
        clvcast.load_model("nowhere")
    with pytest.raises(StoreError, match="there is no MLflow store here"):
        clvcast.load_model("models:/clv@champion")
    (tmp_path / "mlflow.db").touch()
    with pytest.raises(StoreError, match="is no SQLite database"):
        clvcast.load_model("models:/clv@champion")
    (tmp_path / "mlflow.db").unlink()
    with pytest.raises(StoreError, match="an MLflow store is an address"):
        clvcast.load_model("models:/clv@champion", "mlflow.dbb")
    with pytest.raises(StoreError, match="train a model first"):
        clvcast.load_model("models:/clv@champion", "sqlite:///none.db")
    with pytest.raises(ConfigError, match="a model is a bundle folder"):
        clvcast.load_model("s3://somewhere/model")
    assert list(tmp_path.iterdir()) == []


def test_a_store_is_that_of_the_folder_one_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from clvcast.models.loading import find_existing_store
    from clvcast.train.registry.store_location import find_writable_store

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for folder in (tmp_path / "one", tmp_path / "other"):
        folder.mkdir()
        monkeypatch.chdir(folder)
        (folder / "mlflow.db").write_bytes(b"SQLite format 3\0")
        whole = f"sqlite:///{folder}/mlflow.db"
        assert find_existing_store(None) == find_existing_store("sqlite:///mlflow.db") == whole
        assert find_writable_store(clvcast.Config()) == whole
    assert find_existing_store("http://there:5000") == "http://there:5000"


def test_the_digest_guards_against_a_bundle_that_was_made_to_fit(
    run: Run, bundle: Path, shop_lines: pd.DataFrame, tmp_path: Path
) -> None:
    expected = hashlib.sha256((bundle / "manifest.json").read_bytes()).hexdigest()
    assert hash_bundle(bundle) == expected
    clvcast.load_model(bundle, expect_sha256=expected.upper())
    shop_lines.to_parquet(tmp_path / "orders.parquet")
    score = ("score", "--model", bundle, "--orders", tmp_path / "orders.parquet")
    output = tmp_path / "f.parquet"
    assert run(*score, "--output", output, "--expect-sha256", expected)[0] == 0
    # somebody halves a customer's forecasts, and makes manifest, version and golden rows fit
    golden = json.loads((bundle / "golden.json").read_text())
    reseal(bundle, "golden.json", json.dumps(golden))
    clvcast.load_model(bundle)
    with pytest.raises(BundleError, match="is another bundle, or was tampered with"):
        clvcast.load_model(bundle, expect_sha256=expected)
    output.unlink()
    status, _, err = run(*score, "--output", output, "--expect-sha256", expected)
    assert (status, "tampered with" in err, output.exists()) == (1, True, False)


def swap_for_link(bundle: Path) -> None:
    (bundle / "churn-0.txt").rename(bundle.parent / "elsewhere.txt")
    (bundle / "churn-0.txt").symlink_to(bundle.parent / "elsewhere.txt")


def link_all(bundle: Path) -> None:
    bundle.rename(bundle.parent / "real")
    bundle.mkdir()
    for path in (bundle.parent / "real").iterdir():
        (bundle / path.name).symlink_to(path)


def zip_of_links(bundle: Path) -> None:
    """A bundle that came as an archive whose members are links out of it, as unpacked with links
    kept.
    """
    bundle.rename(bundle.parent / "real")
    with zipfile.ZipFile(bundle.parent / "bundle.zip", "w") as archive:
        for path in (bundle.parent / "real").iterdir():
            member = zipfile.ZipInfo(path.name)
            member.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(member, str(path))
    bundle.mkdir()
    with zipfile.ZipFile(bundle.parent / "bundle.zip") as archive:
        for member in archive.infolist():
            assert stat.S_ISLNK(member.external_attr >> 16)
            (bundle / member.filename).symlink_to(archive.read(member).decode())


def zip_of_links_as_text(bundle: Path) -> None:
    """The same, unpacked by Python, which writes a link's target as the file's text."""
    zip_of_links(bundle)
    shutil.rmtree(bundle)
    shutil.unpack_archive(bundle.parent / "bundle.zip", bundle)


def a_pipe(bundle: Path) -> None:
    (bundle / "golden.json").unlink()
    os.mkfifo(bundle / "golden.json")


def long_manifest(bundle: Path) -> None:
    with (bundle / "manifest.json").open("ab") as file:
        file.truncate(10 << 30)  # ten sparse gigabytes


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (swap_for_link, "churn-0.txt must be a plain file"),
        (link_all, "manifest.json must be a plain file"),
        (zip_of_links, "manifest.json must be a plain file"),
        (zip_of_links_as_text, "its manifest is not one"),
        (a_pipe, "golden.json must be a plain file"),
        (long_manifest, "manifest must have at most"),
        (
            edit_manifest(lambda m: m["files"]["churn-0.txt"].update(bytes=10 << 30)),
            "is not one: files",
        ),
        (edit_manifest(lambda m: m["files"]["churn-0.txt"].update(bytes=1 << 29)), "must have"),
        (
            edit_manifest(
                lambda m: m["files"].update({"/etc/passwd": {"bytes": 1, "sha256": "0" * 64}})
            ),
            "is not one: files",
        ),
    ],
)
def test_what_is_no_plain_file_is_never_opened(
    bundle: Path, damage: Callable[[Path], None], message: str
) -> None:
    damage(bundle)
    with pytest.raises(BundleError, match=message):
        clvcast.load_model(bundle)


def test_another_lightgbm_loads_where_it_gives_the_same_numbers(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit_manifest(lambda m: m["libraries"].update(lightgbm="3.3.5"))(bundle)
    clvcast.load_model(bundle)
    whole = FlatTrees.sums
    monkeypatch.setattr(FlatTrees, "sums", lambda trees, inputs: whole(trees, inputs) + 1e-6)
    with pytest.raises(BundleError, match="this installation scores it differently"):
        clvcast.load_model(bundle)


@pytest.mark.slow
def test_five_hundred_flipped_bits(bundle: Path) -> None:
    """A clear error every time: never a crash, never a model that gives other numbers."""
    chance = random.Random(1)
    paths = sorted(bundle.iterdir())
    contents = {path: path.read_bytes() for path in paths}
    sizes = [len(contents[path]) for path in paths]
    for _ in range(500):
        (path,) = chance.choices(paths, sizes)
        damaged = bytearray(contents[path])
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        if path.name != "manifest.json" or not _only_libraries_differ(
            contents[path], bytes(damaged)
        ):
            with pytest.raises(BundleError):
                clvcast.load_model(bundle)
        path.write_bytes(contents[path])


@pytest.mark.slow
def test_flipped_bits_with_fitting_digests_crash_nothing(bundle: Path) -> None:
    """A hundred bits flipped in trees and numbers by somebody who makes the manifest fit: the
    golden rows, or the grammar of trees, refuse what would score otherwise, and no text that hangs
    LightGBM reaches it.
    """
    chance = random.Random(2)
    kept = {path.name: path.read_bytes() for path in bundle.iterdir()}
    names = [name for name in kept if name.endswith(".txt") or name == "model.json"]
    expected = GoldenFile.model_validate_json(kept["golden.json"])
    for _ in range(100):
        name = chance.choice(names)
        damaged = bytearray(kept[name])
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(7)
        try:
            reseal(bundle, name, damaged.decode("ascii", "replace"))
            loaded = clvcast.load_model(bundle)
        except BundleError:
            pass
        else:
            check_golden_rows(loaded, expected)
            with contextlib.suppress(BundleError):
                loaded.load_boosters()
        for other, content in kept.items():
            (bundle / other).write_bytes(content)
