"""A model's life in a real store: candidates judged, promoted, refused, rolled back,
judged again.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import worlds
from conftest import Run

import clvcast
from clvcast.configs.schema import OrdersConfig, TrackingConfig
from clvcast.errors import ConfigError, StoreError
from clvcast.models import loading, registry_facts
from clvcast.orders.reading.read_orders import read_table
from clvcast.train import fit as fitting
from clvcast.train.registry import promotion
from clvcast.train.registry.mlflow_store import open_for_reading, open_for_writing
from clvcast.train.registry.tracking import TrackedRun, track
from clvcast.train.run import TrainingRun, train_and_evaluate
from clvcast.train.training_frame import TrainingFrame

pytestmark = pytest.mark.filterwarnings("default")  # MLflow and SQLAlchemy warn of their own

EARLIER, LATER = "2021-01-20", "2021-02-24"


@pytest.fixture(scope="module")
def lines() -> pd.DataFrame:
    return worlds.shop(customers=500, seed=7)


@pytest.fixture(scope="module")
def orders(lines: pd.DataFrame) -> clvcast.Orders:
    return read_table(lines, OrdersConfig())


@pytest.fixture(scope="module")
def config() -> clvcast.Config:
    tracking = TrackingConfig(evaluated_cutoffs=1)
    return clvcast.Config(horizon_days=60, periods=2, effort="quick", tracking=tracking)


@pytest.fixture(scope="module")
def earlier(orders: clvcast.Orders, config: clvcast.Config) -> TrainingRun:
    return train_and_evaluate(orders, config, EARLIER)


@pytest.fixture(scope="module")
def later(orders: clvcast.Orders, config: clvcast.Config) -> TrainingRun:
    return train_and_evaluate(orders, config, LATER)


@contextlib.contextmanager
def dealt_out_labels(share: float = 1.0) -> Iterator[None]:
    """Models learn from labels of which this share is dealt out at random among the rows."""
    whole = fitting.build_training_frame  # type: ignore[attr-defined]

    def dealt_out(*arguments: object) -> TrainingFrame:
        frame = whole(*arguments)  # type: ignore[arg-type]
        random, order = np.random.default_rng(0), np.arange(frame.rows.n_rows)
        rows = np.flatnonzero(random.random(len(order)) < share)
        order[rows] = random.permutation(rows)
        outcome = replace(
            frame.targets,
            spend=frame.targets.spend[order],
            n_orders=frame.targets.n_orders[order],
        )
        return replace(frame, targets=outcome)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "build_training_frame", dealt_out)
        yield


@pytest.fixture(scope="module")
def permuted(orders: clvcast.Orders, config: clvcast.Config) -> TrainingRun:
    """A run whose models learned from labels dealt out at random."""
    with dealt_out_labels():
        return train_and_evaluate(orders, config, LATER)


Train = Callable[..., TrackedRun]


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store as MLflow makes it: seconds, once."""
    database = tmp_path_factory.mktemp("empty") / "mlflow.db"
    with open_for_writing(f"sqlite:///{database}"):
        pass
    return database


@pytest.fixture
def uri(tmp_path: Path, empty: Path) -> str:
    shutil.copy(empty, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path}/mlflow.db"


@pytest.fixture
def keep(uri: str, config: clvcast.Config) -> Train:
    """Track a run in a fresh store."""
    own = config.model_copy(
        update={"tracking": TrackingConfig(uri=uri, model_name="shop", evaluated_cutoffs=1)}
    )

    def one(run: TrainingRun, force: str | None = None) -> TrackedRun:
        horizon = run.model.numbers.horizon_days
        return track(run, own.model_copy(update={"horizon_days": horizon}), force=force)

    return one


def champion(uri: str) -> str | None:
    version = open_for_reading(uri).aliased("shop", promotion.CHAMPION)
    return version.number if version else None


def failed(registered: TrackedRun) -> list[str]:
    assert registered.verdict is not None
    return [rule.name for rule in registered.verdict.rules if rule.verdict == "fail"]


def test_the_first_model_goes_live_and_its_successor_is_judged_against_it(
    keep: Train, uri: str, earlier: TrainingRun, later: TrainingRun
) -> None:
    first = keep(earlier)
    assert (first.version, first.promoted, failed(first)) == ("1", True, [])
    assert first.verdict is not None
    assert "against the baselines alone" in first.verdict.judged_by
    second = keep(later)
    assert (second.version, second.promoted, failed(second)) == ("2", True, [])
    assert second.verdict is not None
    # trained 35 days before: it saw part of the window, so its settings are fitted again
    assert "settings, fitted again" in second.verdict.judged_by
    measured = {rule.name: rule.value for rule in second.verdict.rules}
    assert measured["history lines"] == 1.0
    assert measured["history money"] == pytest.approx(1.0)
    assert measured["customers"] == 1.0
    assert 0.8 < (measured["rank correlation"] or 0.0) <= 1.0
    # said again, nothing changes: it serves already
    again = keep(later)
    assert (again.version, again.is_new, again.promoted, again.verdict) == ("2", False, False, None)
    versions, history = promotion.list_models("shop", uri)
    assert [v.version for v in versions] == ["2", "1"]
    assert versions[0].aliases == ("candidate", "champion")
    assert versions[0].data == f"2020-01-02 to {LATER}"
    assert {"nGini", "MAE", "bias", "churn_ECE"} <= set(versions[0].measures)
    told = [entry.partition(" ")[2].partition(": passed")[0] for entry in history]
    assert told == ["promote version 1", "promote version 2 (before: version 1)"]


def test_a_model_of_fewer_orders_than_the_champions_says_so(
    keep: Train, uri: str, earlier: TrainingRun, later: TrainingRun
) -> None:
    assert keep(later, force="the first").concern == ""
    said = keep(earlier, force="to go back in time").concern
    assert f"knows orders until {EARLIER}, and replaces version 1, which" in said
    assert f"until {LATER}; to go back: clvcast models rollback --name shop" in said
    assert uri in said


@pytest.mark.slow
def test_names_of_three_parts_need_nothing_that_unity_catalog_refuses(
    uri: str, config: clvcast.Config, earlier: TrainingRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its store searches models by no filter and sorts no versions (`UcModelRegistryStore`)."""
    from mlflow import MlflowClient

    search = MlflowClient.search_model_versions

    def search_as_unity_catalog(self: Any, filter_string: Any = None, **given: Any) -> Any:
        assert given.pop("order_by", None) is None
        return search(self, filter_string, **given)

    monkeypatch.setattr(MlflowClient, "search_model_versions", search_as_unity_catalog)
    monkeypatch.delattr(MlflowClient, "search_registered_models")
    name = "main.sales.clv"
    tracking = TrackingConfig(uri=uri, model_name=name, evaluated_cutoffs=1)
    tracked = track(earlier, config.model_copy(update={"tracking": tracking}))
    assert (tracked.version, tracked.promoted) == ("1", True)
    model = clvcast.load_model(f"models:/{name}@champion", uri)
    assert model.registered is not None
    assert (model.registered.name, model.registered.number) == (name, "1")
    assert model.version == earlier.model.version
    versions, history = promotion.list_models(name, uri)
    assert [version.aliases for version in versions] == [("candidate", "champion")]
    assert len(history) == 1
    with pytest.raises(StoreError, match=r"no version of main\.sales\.clv is live; the newest"):
        clvcast.load_model(f"models:/{name}@live", uri)


@pytest.mark.slow
def test_permuted_labels_are_refused_with_reasons_and_the_old_champion_serves(
    keep: Train, uri: str, earlier: TrainingRun, permuted: TrainingRun
) -> None:
    keep(earlier)
    refused = keep(permuted)
    assert not refused.promoted
    rules = failed(refused)
    against = ("nGini against", "error against")
    assert sum(name.startswith(against) for name in rules) >= 2, rules
    assert champion(uri) == "1"
    versions, history = promotion.list_models("shop", uri)
    assert versions[0].verdict == "refused"
    assert "significantly larger" in versions[0].reason
    assert "refuse version 2" in history[-1]
    # refused again on another day, by the same numbers, as the same version
    again = keep(permuted)
    assert (again.version, again.promoted, champion(uri)) == ("2", False, "1")


@pytest.mark.slow
def test_permuted_labels_are_refused_as_a_first_model_too(
    keep: Train, uri: str, permuted: TrainingRun
) -> None:
    assert not keep(permuted).promoted
    assert champion(uri) is None
    with pytest.raises(StoreError, match="no champion to roll back from"):
        promotion.rollback("shop", "", uri)
    with pytest.raises(StoreError, match=r"version 1 was refused: .* Use it as models:/shop/1"):
        clvcast.load_model("models:/shop@champion", uri)


@dataclass
class FakeVersion:
    version: str
    tags: dict[str, str]


@dataclass
class FakeClient:
    """A store with one model: its versions, newest first, and the aliases they have."""

    versions: list[FakeVersion]
    aliases: dict[str, str]
    tracking_uri: str = "sqlite:///a store.db"

    def search_model_versions(self, query: str) -> list[FakeVersion]:
        assert query == "name='shop'"
        return self.versions

    def get_registered_model(self, name: str) -> FakeClient:
        return self


def test_without_a_champion_the_refused_version_is_named_with_its_reason() -> None:
    def refuse(client: Any) -> None:
        loading._refuse_missing_alias(client, "shop", "champion")

    refused = {registry_facts.VERDICT: "refused", registry_facts.VERDICT_REASON: "it is too young"}
    versions = [FakeVersion("7", refused), FakeVersion("6", {})]
    said = (
        r"no version of shop is champion; version 7 was refused: it is too young\. Use it as "
        r"models:/shop/7, or make it champion: clvcast models promote 7 --reason "
        r"'checked by hand' --name shop --tracking-uri 'sqlite:///a store.db'$"
    )
    with pytest.raises(StoreError, match=said):
        refuse(FakeClient(versions, {}))
    with pytest.raises(StoreError, match="the newest is 6"):
        refuse(FakeClient(versions[1:], {}))
    refuse(FakeClient(versions, {"champion": "6"}))
    refuse(FakeClient([], {}))  # MLflow says the rest


@pytest.mark.slow
def test_a_better_one_is_promoted(
    keep: Train, uri: str, orders: clvcast.Orders, config: clvcast.Config, later: TrainingRun
) -> None:
    """The champion learned from labels a quarter of which were dealt out at random: a candidate
    that learned from true ones is surely better on a window that neither knew, and goes live by the
    gate alone.
    """
    with dealt_out_labels(share=0.25):
        worse = train_and_evaluate(orders, config, "2020-12-20")
    assert keep(worse, force="there is no other yet").promoted
    better = keep(later)
    assert better.verdict is not None
    assert "its own bundle, which never saw the window" in better.verdict.judged_by
    assert (failed(better), better.verdict.passed, better.promoted) == ([], True, True)
    assert champion(uri) == "2"
    (rule,) = (r for r in better.verdict.rules if r.name == "error against the champion")
    upper = float(re.findall(r"to ([+-][\d.]+)%", rule.sentence)[0])
    assert upper < 0, rule.sentence  # better, and not by luck


@pytest.mark.slow
def test_a_better_one_replaces_a_bad_one_that_was_forced(
    keep: Train, uri: str, permuted: TrainingRun, later: TrainingRun
) -> None:
    with pytest.raises(ConfigError, match="--force needs a reason"):
        keep(permuted, force=" ")
    bad = keep(permuted, force="to see it fail")
    assert bad.promoted
    assert promotion.list_models("shop", uri)[0][0].reason.startswith("forced: to see it fail")
    better = keep(later)
    # what differs from a bad champion by much needs a hand: its total and ranking are far off
    assert "nGini against the champion" not in failed(better)
    assert "error against the champion" not in failed(better)


@pytest.mark.slow
def test_a_feed_with_a_tenth_of_its_lines_missing_is_refused(
    keep: Train, uri: str, lines: pd.DataFrame, earlier: TrainingRun, config: clvcast.Config
) -> None:
    keep(earlier)
    thinned = lines[np.random.default_rng(3).random(len(lines)) > 0.1]
    broken = keep(train_and_evaluate(read_table(thinned, OrdersConfig()), config, LATER))
    assert not broken.promoted
    assert {"history lines", "history money"} <= set(failed(broken))
    assert champion(uri) == "1"


@pytest.mark.slow
def test_rollback_restores_byte_identical_forecasts_and_is_idempotent(
    keep: Train, uri: str, earlier: TrainingRun, later: TrainingRun, orders: clvcast.Orders
) -> None:
    def forecasts() -> pd.DataFrame:
        return clvcast.score(clvcast.load_model("models:/shop@champion", uri), orders)

    keep(earlier)
    before = forecasts()
    keep(later)
    assert not forecasts().equals(before)
    change = promotion.rollback("shop", "twice what was sold", uri)
    assert (change.champion, change.previous, change.changed) == ("1", "2", True)
    pd.testing.assert_frame_equal(forecasts(), before, check_exact=True)
    again = promotion.rollback("shop", "twice what was sold", uri)
    assert (again.champion, again.changed) == ("1", False)
    assert "since version 2 was rolled back" in again.sentence
    assert champion(uri) == "1"
    # the next night trains the same model: it stays down until a hand promotes it
    nightly = keep(later)
    assert (nightly.promoted, failed(nightly)) == (False, ["rollback"])
    assert "twice what was sold" in nightly.verdict.reason  # type: ignore[union-attr]
    with pytest.raises(ConfigError, match="needs a reason"):
        promotion.promote("shop", "2", " ", uri)
    assert promotion.promote("shop", "2", "it was the feed", uri).changed
    assert not promotion.promote("shop", "2", "it was the feed", uri).changed
    assert champion(uri) == "2"
    # and the way back is open again
    assert promotion.rollback("shop", "no, it was not", uri).champion == "1"


def test_the_first_champion_has_no_way_back(keep: Train, uri: str, earlier: TrainingRun) -> None:
    keep(earlier)
    with pytest.raises(StoreError, match="replaced none: no way back"):
        promotion.rollback("shop", "", uri)
    with pytest.raises(StoreError, match="has no version 7"):
        promotion.promote("shop", "7", "why not", uri)
    with pytest.raises(StoreError, match="has no model other"):
        promotion.list_models("other", uri)


@pytest.mark.slow
def test_a_champion_whose_bundle_is_gone_is_judged_by_what_it_left(
    keep: Train, uri: str, tmp_path: Path, earlier: TrainingRun, later: TrainingRun
) -> None:
    keep(earlier)
    for manifest in (tmp_path / "mlartifacts").rglob("manifest.json"):
        manifest.unlink()
    registered = keep(later)
    assert registered.verdict is not None
    assert "the evaluation its training stored" in registered.verdict.judged_by
    rules = {rule.name: rule for rule in registered.verdict.rules}
    assert rules["nGini against the champion"].value is not None
    assert rules["total"].verdict == "unknown"
    assert rules["history lines"].verdict == "pass"


@pytest.mark.slow
def test_an_old_champion_is_judged_by_its_own_bundle(
    keep: Train, orders: clvcast.Orders, config: clvcast.Config, later: TrainingRun
) -> None:
    keep(train_and_evaluate(orders, config, "2020-12-20"))
    registered = keep(later)
    assert registered.verdict is not None
    assert "its own bundle, which never saw the window" in registered.verdict.judged_by


@pytest.mark.slow
def test_other_settings_are_fitted_again_and_another_horizon_is_refused(
    keep: Train, orders: clvcast.Orders, config: clvcast.Config, earlier: TrainingRun
) -> None:
    keep(earlier)
    seeded = train_and_evaluate(orders, config.model_copy(update={"seed": 5}), LATER)
    registered = keep(seeded)
    assert registered.verdict is not None
    assert registered.verdict.judged_by.endswith("fitted again on what was known before the window")
    other = train_and_evaluate(orders, config.model_copy(update={"horizon_days": 45}), LATER)
    registered = keep(other)
    assert "schema" in failed(registered)
    assert registered.verdict is not None
    assert "forecasts another horizon" in registered.verdict.judged_by


@pytest.mark.slow
def test_a_decision_on_a_champion_that_was_replaced_meanwhile_is_not_carried_out(
    keep: Train, uri: str, earlier: TrainingRun, permuted: TrainingRun
) -> None:
    keep(earlier)
    keep(permuted)
    with pytest.raises(StoreError, match="another run promoted version 1 of shop meanwhile"):
        promotion.promote_in(
            open_for_reading(uri), "shop", "2", "it was judged against nothing", None
        )
    assert champion(uri) == "1"


@pytest.mark.slow
def test_tampering_in_the_artifact_store_is_found_by_the_tag(
    keep: Train, uri: str, tmp_path: Path, earlier: TrainingRun
) -> None:
    keep(earlier)
    (manifest,) = (tmp_path / "mlartifacts").rglob("manifest.json")
    content = json.loads(manifest.read_text())
    content["libraries"]["numpy"] = "0"  # harmless, and still another file
    manifest.write_text(json.dumps(content))
    for name in ("models:/shop@champion", "models:/shop/1", "models:/shop/latest"):
        with pytest.raises(clvcast.BundleError, match=r"must have the sha256 .* tampered with"):
            clvcast.load_model(name, uri)
    with pytest.raises(StoreError, match=r"by version, alias or latest.*models:/shop/Production"):
        clvcast.load_model("models:/shop/Production", uri)


@pytest.mark.slow
def test_commands(
    run: Run, keep: Train, uri: str, earlier: TrainingRun, later: TrainingRun
) -> None:
    keep(earlier)
    keep(later)
    place = ("--name", "shop", "--tracking-uri", uri)
    status, out, _ = run("models", "list", *place)
    assert (status, "champion" in out, "promote version 2" in out) == (0, True, True)
    status, out, _ = run("models", "rollback", "--reason", "odd", *place, "--json")
    assert (status, json.loads(out)["champion"]) == (0, "1")
    status, out, _ = run("models", "list", *place, "--json")
    listed = json.loads(out)["versions"]
    assert [v["verdict"] for v in listed] == ["rolled back", "promoted"]
    status, _, err = run("models", "promote", "2", *place)
    assert (status, "needs a reason" in err) == (2, True)
    status, out, _ = run("models", "promote", "2", "--reason", "fine after all", *place)
    assert (status, out.strip()) == (0, "version 2 of shop is champion, before it version 1")
    status, _, err = run("models", "rollback", "--tracking-uri", f"{uri}x")
    assert (status, "train a model first" in err) == (1, True)
