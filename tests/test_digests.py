"""Digest checks: every way to load a model notices an exchanged bundle."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pytest
import yaml
from conftest import Run, missing

import clvcast
from clvcast.errors import BundleError, ClvcastError, ConfigError
from clvcast.models.bundle import hash_bundle
from clvcast.models.digests import BUNDLE_SHA256, EXPECT_VARIABLE, check_digests
from clvcast.serve.pyfunc import _load_pyfunc
from clvcast.train.registry.mlflow_store import open_for_writing

OTHER = "0" * 64


@pytest.fixture(scope="module")
def bundles(
    shop_model: clvcast.Model, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """A bundle, and another that is just as valid."""
    folder = tmp_path_factory.mktemp("bundles")
    numbers = shop_model.numbers.model_copy(update={"short_history": True})
    shop_model.save(folder / "own")
    dataclasses.replace(shop_model, numbers=numbers).save(folder / "other")
    return folder / "own", folder / "other"


@pytest.fixture
def logged(bundles: tuple[Path, Path], tmp_path: Path) -> Path:
    """A bundle within a folder as MLflow logs it."""
    shutil.copytree(bundles[0], tmp_path / "model" / "data" / "bundle")
    note_digest(tmp_path / "model", hash_bundle(bundles[0]))
    return tmp_path / "model" / "data" / "bundle"


def note_digest(model: Path, digest: object) -> None:
    text = yaml.safe_dump({"flavors": {}, "metadata": {BUNDLE_SHA256: digest}})
    (model / "MLmodel").write_text(text)


def exchange(folder: Path, other: Path) -> None:
    shutil.rmtree(folder)
    shutil.copytree(other, folder)


DOORS: dict[str, Callable[[str], Any]] = {
    "load_model": clvcast.load_model,
    "pyfunc": _load_pyfunc,
}


@pytest.mark.parametrize("door", DOORS)
def test_an_exchanged_artifact_is_found_by_its_mlmodel(
    logged: Path, bundles: tuple[Path, Path], door: str
) -> None:
    DOORS[door](str(logged))
    exchange(logged, bundles[1])
    with pytest.raises(BundleError, match=r"by its MLmodel file, got .* tampered with"):
        DOORS[door](str(logged))


@pytest.mark.parametrize("door", DOORS)
def test_the_environment_states_a_digest_for_programs_that_load_through_mlflow(
    bundles: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, door: str
) -> None:
    monkeypatch.setenv(EXPECT_VARIABLE, hash_bundle(bundles[0]))
    DOORS[door](str(bundles[0]))
    with pytest.raises(BundleError, match=f"by {EXPECT_VARIABLE}"):
        DOORS[door](str(bundles[1]))


@pytest.mark.parametrize("text", ["", "abc", OTHER[:-1], OTHER + "0", "x" * 64])
def test_a_digest_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="must be 64 hexadecimal digits"):
        check_digests(tmp_path, OTHER, given=text)


def test_all_digests_are_checked_and_none_replaces_another(tmp_path: Path) -> None:
    found = "1" * 64
    tags = {BUNDLE_SHA256: found}
    check_digests(tmp_path, found, given=found.upper(), tags=tags)
    with pytest.raises(BundleError, match="by the expected sha256"):
        check_digests(tmp_path, found, given=OTHER, tags=tags)
    with pytest.raises(BundleError, match="by the version's tag"):
        check_digests(tmp_path, found, given=found, tags={BUNDLE_SHA256: OTHER})
    with pytest.raises(BundleError, match="has no tag"):
        check_digests(tmp_path, found, tags={"other": "tag"})
    check_digests(tmp_path, found, given=found, tags={})  # the mend that the message names
    folder = tmp_path / "model" / "data" / "bundle"
    folder.mkdir(parents=True)
    note_digest(tmp_path / "model", OTHER)
    with pytest.raises(BundleError, match="by its MLmodel file"):
        check_digests(folder, found, given=found, tags=tags)


@pytest.mark.parametrize("text", ["{", "\xff", "x" * 2_000_000])
def test_an_mlmodel_that_cannot_be_read_is_a_sentence(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "model" / "data" / "bundle"
    folder.mkdir(parents=True)
    (tmp_path / "model" / "MLmodel").write_bytes(text.encode("latin-1"))
    with pytest.raises(BundleError, match="MLmodel"):
        check_digests(folder, OTHER)


def test_serve_and_reload_take_a_digest(
    bundles: tuple[Path, Path], shop_model: clvcast.Model, run: Run
) -> None:
    try:
        from clvcast.serve.rest.model_holder import ModelHolder
    except ModuleNotFoundError:
        missing("the serve extra")
    status, _, err = run("serve", "--model", bundles[0], "--expect-sha256", OTHER)
    assert (status, "by the expected sha256" in err) == (1, True)
    models = ModelHolder(shop_model, bundles[0].parent)
    with pytest.raises(ClvcastError, match="by the expected sha256"):
        models.reload("other", hash_bundle(bundles[0]))
    assert models.current is shop_model


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # MLflow and SQLAlchemy warn of their own
def test_every_way_through_the_registry_notices(
    shop_model: clvcast.Model,
    bundles: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    store = f"sqlite:///{tmp_path}/mlflow.db"
    with open_for_writing(store) as opened:
        client = opened.client
        run = client.create_run(client.create_experiment("e", (tmp_path / "artifacts").as_uri()))
        opened.register(run.info.run_id, shop_model, "clv", {})
    uri = "models:/clv/1"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    mlflow.set_tracking_uri(store)
    assert clvcast.load_model(uri).version == shop_model.version
    mlflow.pyfunc.load_model(uri)
    (place,) = tmp_path.glob("artifacts/**/bundle")
    exchange(place, bundles[1])
    with pytest.raises(BundleError, match="tampered with"):
        clvcast.load_model(uri)
    with pytest.raises(BundleError, match="tampered with"):
        clvcast.load_model(uri, expect_sha256=hash_bundle(bundles[1]))
    with pytest.raises(BundleError, match="tampered with"):
        mlflow.pyfunc.load_model(uri)
    client.delete_model_version_tag("clv", "1", BUNDLE_SHA256)
    with pytest.raises(BundleError, match="has no tag"):
        clvcast.load_model(uri)
