"""Killed at any point: train, promote, rollback and score leave the old champion or the new one,
never half of one.
"""

from __future__ import annotations

import random
import time
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from test_scheduled import champion, finish, kill, start, write_shop

import clvcast
from clvcast.train.registry import promotion

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


def test_killed_at_random_points_the_old_champion_serves_and_a_rerun_goes_on(
    tmp_path: Path,
) -> None:
    """Four points of train, three of promote and rollback, three of score: seeded shares of a
    whole run.
    """
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    config = write_shop(tmp_path, uri)
    finish(start("train", config, "--cutoff", "2021-01-20"))
    orders = clvcast.read_orders(clvcast.load_config(config))
    output, by_version = tmp_path / "forecasts.parquet", {}

    def forecasts() -> pd.DataFrame:
        return clvcast.score(clvcast.load_model("models:/shop@champion", uri), orders)

    by_version["1"] = forecasts()
    chance = random.Random(3)

    def killed(whole: float, *command: object) -> None:
        process = start(*command)
        time.sleep(whole * chance.uniform(0.2, 1.0))
        kill(process)

    def timed(*command: object) -> float:
        began = time.monotonic()
        finish(start(*command))
        return time.monotonic() - began

    whole = timed("train", config, "--cutoff", "2021-01-21", "--tracking-uri", f"{uri}2")
    for _ in range(4):
        killed(whole, "train", config)
        serving = champion(uri)  # the old one; or the new one, where the kill came after the end
        assert serving in ("1", "2")
        found = forecasts()
        pd.testing.assert_frame_equal(
            found, by_version.setdefault(serving, found), check_exact=True
        )
    finish(start("train", config))
    assert champion(uri) == "2"
    client = mlflow.MlflowClient(tracking_uri=uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    assert not client.search_runs(experiments, "attributes.status = 'RUNNING'")
    by_version["2"] = forecasts()
    assert not by_version["2"].equals(by_version["1"])
    versions, _ = promotion.list_models("shop", uri)
    assert len({version.model_version for version in versions}) == len(versions)

    place = ("--config", config)
    whole = timed("models", "rollback", "--reason", "odd", *place)
    assert champion(uri) == "1"
    moves = (("promote", 2, "--reason", "even", *place), ("rollback", "--reason", "odd", *place))
    for k in range(3):
        killed(whole, "models", *moves[k % 2])
        serving = champion(uri)
        pd.testing.assert_frame_equal(forecasts(), by_version[str(serving)], check_exact=True)
        finish(start("models", *moves[k % 2]))
        assert champion(uri) == ("1" if k % 2 else "2")

    score = (
        "score",
        "--model",
        "models:/shop@champion",
        "--tracking-uri",
        uri,
        "--orders",
        tmp_path / "orders.parquet",
        "--output",
        output,
        "--force",
    )
    whole = timed(*score)
    content = output.read_bytes()
    for _ in range(3):
        killed(whole, *score)
        assert output.read_bytes() == content  # the old file or the new one, whole
    finish(start(*score))
    assert output.read_bytes() == content
