"""A real MLflow store: what a run leaves there, and that the model in it is the model that was
trained.
"""

from __future__ import annotations

import io
import json
import shutil
import time
import warnings
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from conftest import Run, missing, read_nested_forecasts

import clvcast
from clvcast.errors import StoreError
from clvcast.models.registry_facts import CUTOFF
from clvcast.train.registry.mlflow_store import open_for_writing

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),
]  # MLflow and SQLAlchemy warn of their own


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, shop_lines: pd.DataFrame) -> Path:
    folder = tmp_path_factory.mktemp("store")
    shop_lines.to_parquet(folder / "orders.parquet")
    (folder / "shop.yaml").write_text(
        f"orders: {{source: {folder}/orders.parquet}}\nhorizon_days: 60\nperiods: 3\neffort: "
        "quick\n"
        f"tracking: {{uri: 'sqlite:///{folder}/mlflow.db', experiment: shop, model_name: shop}}\n"
    )
    return folder


@pytest.fixture(scope="module")
def trained(store: Path) -> dict[str, object]:
    import contextlib
    import io
    import sys

    from clvcast.__main__ import main

    out = io.StringIO()
    arguments, sys.argv = sys.argv, ["clvcast", "train", str(store / "shop.yaml"), "--json"]
    with contextlib.redirect_stdout(out), pytest.raises(SystemExit) as stopped:
        main()
    sys.argv = arguments
    assert not stopped.value.code
    result: dict[str, object] = json.loads(out.getvalue())
    return result


def uri(store: Path) -> str:
    return f"sqlite:///{store}/mlflow.db"


def test_a_run_has_parameters_measures_digest_and_rejected_lines(
    store: Path, trained: dict[str, object], shop_orders: clvcast.Orders
) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(uri(store))
    run = client.get_run(str(trained["run_id"]))
    assert "report.html" in {file.path for file in client.list_artifacts(run.info.run_id)}
    assert run.data.params["horizon_days"] == "60"
    assert run.data.params["cutoff"] == "2021-02-24"
    assert run.data.params["margin_rate"] == run.data.params["margin_source"] == "unknown"
    for name in ("effort", "target", "seeds", "order_model", "lightgbm.num_leaves", "gate.ngini"):
        assert run.data.params[name]
    assert run.data.params["version.clvcast"] == clvcast.__version__
    config = client.download_artifacts(run.info.run_id, "config.yaml")
    stated = clvcast.load_config(store / "shop.yaml").model_dump(exclude_unset=True)
    assert clvcast.load_config(config).model_dump(exclude_unset=True) == stated
    note = run.data.tags["mlflow.note.content"]
    assert note.startswith("**Version 1 of shop promoted**")
    assert "The CLV is revenue, not profit: no margin is known." in note
    assert "| clvcast | " in note
    evaluated: dict[str, dict[str, dict[str, dict[str, float]]]] = trained["evaluation"]  # type: ignore[assignment]
    assert len(evaluated) == 2
    newest = evaluated[max(evaluated)]
    for measure, value in newest["methods"]["clvcast"].items():
        assert run.data.metrics[measure] == pytest.approx(value)
    # every measure is a curve over the cutoffs, a step each; and each cutoff is a nested run
    curve = client.get_metric_history(run.info.run_id, "MAE")
    day = pd.Timestamp("1970-01-01")
    steps = {(pd.Timestamp(cutoff) - day).days: cutoff for cutoff in evaluated}
    assert {m.step: m.value for m in curve} == {
        step: pytest.approx(evaluated[cutoff]["methods"]["clvcast"]["MAE"])
        for step, cutoff in steps.items()
    }
    nested = client.search_runs(
        [run.info.experiment_id],
        f"tags.mlflow.parentRunId = '{run.info.run_id}' and tags.\"clvcast.kind\" = 'evaluation'",
    )
    assert {child.data.tags["clvcast.cutoff"] for child in nested} == set(evaluated)
    assert run.inputs is not None
    (data,) = run.inputs.dataset_inputs
    assert data.dataset.digest == shop_orders.digest()[:36]
    assert json.loads(data.dataset.source)["source"].endswith("orders.parquet")
    assert "report.html" in [file.path for file in client.list_artifacts(run.info.run_id)]
    assert run.data.metrics["span_rate.MAE"] > 0
    assert run.data.tags["clvcast.data_digest"] == shop_orders.digest()
    assert (store / "mlartifacts").is_dir()
    # what happened to a version is found by its tags
    (found,) = client.search_model_versions("tags.`clvcast.verdict` = 'promoted'")
    assert (found.name, str(found.version)) == ("shop", trained["version"])


def test_the_champion_scores_as_the_model_in_memory(
    store: Path,
    trained: dict[str, object],
    shop_orders: clvcast.Orders,
) -> None:
    loaded = clvcast.load_model("models:/shop@champion", uri(store))
    assert loaded.version == trained["model_version"]
    pd.testing.assert_frame_equal(
        clvcast.score(loaded, shop_orders),
        clvcast.score(
            clvcast.load_model(f"runs:/{trained['run_id']}/model", uri(store)), shop_orders
        ),
        check_exact=True,
    )
    # trained without MLflow from the same orders: the mapping is the same, so is the model
    config = clvcast.load_config(store / "shop.yaml")
    assert loaded.files() == clvcast.train(shop_orders, config).files()


@pytest.mark.slow
def test_a_server_tells_what_the_registry_knows(
    store: Path, trained: dict[str, object], tmp_path: Path
) -> None:
    """Measures and data span: of a model from the registry, by reload too; of a bare bundle none,
    and why.
    """
    try:
        from servers import serving

        from clvcast.serve.rest.auth import read_tokens
        from clvcast.serve.rest.model_holder import ModelHolder
        from clvcast.serve.rest.settings import Settings
    except ModuleNotFoundError:
        missing("the serve extra")

    champion = "models:/shop@champion"
    loaded = clvcast.load_model(champion, uri(store))
    loaded.save(tmp_path / "bundle")
    bare = clvcast.load_model(tmp_path / "bundle")
    tokens = read_tokens(None, None, {"CLVCAST_ADMIN_TOKENS": "admin-token-0123456"})
    with serving(ModelHolder(bare, None, uri(store)), Settings(tokens=tokens)) as client:
        client.headers["Authorization"] = "Bearer admin-token-0123456"
        about = client.get("/v1/model").json()
        unknown = ("trained_until", "data_span", "measures", "registry")
        assert [about[name] for name in unknown] == [None] * 4
        assert "a bundle holds no dates" in about["remark"]
        assert client.post("/v1/reload", json={"model": champion}).status_code == 200
        about = client.get("/v1/model").json()
    evaluated = trained["evaluation"]
    assert isinstance(evaluated, dict)
    evaluation = evaluated[max(evaluated)]  # the newest
    for name in ("nGini", "MAE", "bias"):
        assert about["measures"][name] == pytest.approx(
            evaluation["methods"]["clvcast"][name], rel=1e-3
        )
    assert about["trained_until"] == "2021-02-24"
    assert about["data_span"].endswith(" to 2021-02-24")
    assert (about["registry"], about["remark"]) == ("shop/1", None)
    assert about["model_version"] == loaded.version
    assert loaded.registered is not None
    assert loaded.files() == bare.files()  # none of it is in the model


def test_mlflow_pyfunc_gives_the_same_numbers_and_holds_no_code(
    store: Path, trained: dict[str, object], shop_orders: clvcast.Orders
) -> None:
    import mlflow

    mlflow.set_tracking_uri(uri(store))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pyfunc = mlflow.pyfunc.load_model("models:/shop@champion")
    nested = clvcast.nest(shop_orders, "2021-02-24").head(25)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = pyfunc.predict(nested)
    expected = clvcast.score(clvcast.load_model("models:/shop@champion", uri(store)), shop_orders)
    pd.testing.assert_frame_equal(read_nested_forecasts(found), expected.head(25), check_exact=True)
    logged = [path for path in (store / "mlartifacts").rglob("*") if path.is_file()]
    assert not [path for path in logged if path.suffix in (".py", ".pkl", ".pickle", ".joblib")]


def test_mlflow_serves_a_missing_forecast_as_nulls(
    shop_model: clvcast.Model, shop_orders: clvcast.Orders
) -> None:
    from mlflow.pyfunc.scoring_server import predictions_to_json

    from clvcast.serve.pyfunc import NestedModel

    rows = clvcast.nest(shop_orders, "2021-02-24").head(2)
    rows.loc[1, "cutoff"] = "2019-01-01"
    body = io.StringIO()
    forecasts = NestedModel(shop_model).predict(rows)
    predictions_to_json(forecasts, body)  # type: ignore[no-untyped-call]
    first, second = json.loads(body.getvalue(), parse_constant=pytest.fail)["predictions"]
    assert first["cutoff"] == "2021-02-24T00:00:00"
    assert first["reason"] is None
    assert second["reason"] == "no order before the cutoff"
    assert {second[name] for name in ("clv", "n_orders", "tier", "next_order_from")} == {None}


def test_an_address_in_the_environment_stays_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    from clvcast.models.loading import use_store

    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.setenv(name, "sqlite:///a.db")
    with use_store("sqlite:///b.db", "sqlite:///c.db"):
        assert mlflow.get_registry_uri() == "sqlite:///c.db"
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.setenv(name, "sqlite:///later.db")
    assert mlflow.get_tracking_uri() == mlflow.get_registry_uri() == "sqlite:///later.db"


def test_a_bundle_exchanged_inside_a_model_of_mlflow_is_refused(
    store: Path, trained: dict[str, object], shop_model: clvcast.Model, tmp_path: Path
) -> None:
    import mlflow

    (source,) = (store / "mlartifacts").rglob("MLmodel")
    folder = shutil.copytree(source.parent, tmp_path / "model")
    assert mlflow.pyfunc.load_model(str(folder)).predict is not None
    (bundle,) = (folder / "data").iterdir()
    shop_model.save(bundle)
    with pytest.raises(clvcast.BundleError, match="must have the sha256"):
        mlflow.pyfunc.load_model(str(folder))


@pytest.mark.slow
def test_autologging_does_not_see_our_boosters_and_a_registry_of_its_own_is_used(
    shop_lines: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")  # set by MLflow below, and removed by pytest
    runs, models = (f"sqlite:///{tmp_path}/{name}.db" for name in ("runs", "models"))
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", models)
    mlflow.set_tracking_uri(runs)
    mlflow.lightgbm.autolog()
    try:
        with mlflow.start_run() as mine:
            settings = {"horizon_days": 60, "effort": "quick", "tracking": {"uri": runs}}
            config = clvcast.Config.model_validate(settings)
            clvcast.train(shop_lines, config)
            tracked = clvcast.track(shop_lines, config, tags={"team": "crm"}, run_name="nightly")
        left = mlflow.MlflowClient(runs).get_run(mine.info.run_id)
        assert (left.data.params, left.data.metrics) == ({}, {})
    finally:
        mlflow.lightgbm.autolog(disable=True)
    run = mlflow.MlflowClient(runs).get_run(tracked.run_id)
    assert run.data.tags["mlflow.parentRunId"] == mine.info.run_id
    assert run.info.experiment_id == mine.info.experiment_id
    assert (run.data.tags["team"], run.info.run_name) == ("crm", "nightly")
    assert mlflow.MlflowClient(runs, runs).search_registered_models() == []
    assert clvcast.load_model("models:/clv@candidate").version == tracked.model.version
    (listed,) = clvcast.registry.list_versions()
    assert (listed.version, listed.tags) == ("1", {"team": "crm"})
    mlflow.set_tracking_uri(None)  # type: ignore[arg-type]


@pytest.mark.slow
def test_an_identical_model_is_not_registered_twice(
    run: Run, store: Path, trained: dict[str, object]
) -> None:
    status, out, _ = run("train", store / "shop.yaml")
    assert status == 0
    assert "an identical model was registered before" in out
    status, out, _ = run("train", store / "shop.yaml", "--cutoff", "2021-01-20", "--json")
    assert json.loads(out)["version"] == "2"


def test_score_reads_the_store_the_config_or_the_flag_names(
    run: Run, store: Path, trained: dict[str, object], tmp_path: Path
) -> None:
    args = ("score", "--model", "models:/shop@champion", "--orders", store / "orders.parquet")
    output = tmp_path / "f.parquet"
    assert run(*args, "--output", output, "--tracking-uri", uri(store))[0] == 0
    assert run(*args, "--output", output, "--config", store / "shop.yaml")[0] == 0
    status, _, err = run(*args, "--output", output, "--tracking-uri", f"sqlite:///{tmp_path}/no.db")
    assert (status, "train a model first" in err) == (1, True)
    status, _, err = run(
        "score",
        "--model",
        "models:/none@champion",
        "--orders",
        store / "orders.parquet",
        "--output",
        output,
        "--tracking-uri",
        uri(store),
    )
    assert (status, "MLflow cannot give the model models:/none@champion" in err) == (1, True)
    assert "Traceback" not in err


def test_a_killed_training_leaves_no_run_running(tmp_path: Path) -> None:
    """The next training ends what a kill left, and nothing that may still run."""
    with open_for_writing(f"sqlite:///{tmp_path}/mlflow.db") as store:
        assert store.end_dead_runs("shop") == 0
        with store.run("shop", "train", {CUTOFF: "2024-01-01"}) as finished:
            pass
        experiment = store.client.get_run(finished).info.experiment_id
        hour = 3_600_000
        now = int(time.time() * 1000)

        def leave(hours_ago: float, **tags: str) -> str:
            begun = int(now - hours_ago * hour)
            run = store.client.create_run(experiment, start_time=begun, tags=tags)
            return str(run.info.run_id)

        killed = leave(1, **{CUTOFF: "2024-01-01"})
        old = leave(25, **{CUTOFF: "2024-01-01"})
        another = leave(25)  # a user's own run

        def status(run_id: str) -> str:
            return str(store.client.get_run(run_id).info.status)

        server = replace(store, uri="http://mlflow:5000")  # where another training may be at work
        assert server.end_dead_runs("shop") == 1
        assert (status(old), status(killed)) == ("KILLED", "RUNNING")
        assert store.end_dead_runs("shop") == 1
        assert status(killed) == "KILLED"
        assert (status(another), status(finished)) == ("RUNNING", "FINISHED")


def test_a_store_that_cannot_be_written_is_a_sentence(run: Run, store: Path) -> None:
    bad = "sqlite:////sys/none/mlflow.db"
    status, _, err = run("train", store / "shop.yaml", "--tracking-uri", bad)
    assert status == 1
    assert err.splitlines()[-1].startswith("clvcast: the MLflow store")


def test_a_store_that_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"no database")
    with pytest.raises(StoreError, match="is no SQLite database"):
        clvcast.load_model("models:/clv@champion", f"sqlite:///{tmp_path}/mlflow.db")
