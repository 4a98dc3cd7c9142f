"""Search: LightGBM parameters that forecast an earlier window best; what `effort: thorough` adds.

Trees learn from cutoffs whose windows were over by the newest training cutoff and are judged on
that cutoff's window: time runs forward in the search as it does in use. A parameter the
configuration sets is not searched.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..configs.schema import ModelConfig
from ..evaluation import standard_measures
from ..models.blend import to_probability
from ..models.trees.lightgbm_trees import Trees
from ..orders.columns import Float64, Mask
from ..orders.dates import DAY
from .boosting import Examples, train_boosters
from .training_frame import TrainingFrame

__all__ = ["search_hyperparameters"]

_TRIALS = 25
_LEAST_ROWS = 200


def search_hyperparameters(
    frame: TrainingFrame,
    examples: Examples,
    model: ModelConfig,
    seed: int,
    progress: Callable[[str], None] = lambda _: None,
) -> ModelConfig:
    """The model's settings with the best parameters found; unchanged where none can be compared.

    Our own defaults are the first trial, so that a search never ends worse than them on its window.
    """
    import optuna

    space: dict[str, Callable[[optuna.Trial], Any]] = {
        "num_leaves": lambda t: t.suggest_int("num_leaves", 4, 31, log=True),
        "num_iterations": lambda t: t.suggest_int("num_iterations", 50, 300, log=True),
        "feature_fraction": lambda t: t.suggest_float("feature_fraction", 0.1, 1.0),
        "lambda_l2": lambda t: t.suggest_float("lambda_l2", 0.1, 100.0, log=True),
    }
    space = {name: of for name, of in space.items() if name not in model.parameters}
    learn, judge = _split_forward(frame)
    if not space or min(learn.sum(), judge.sum()) < _LEAST_ROWS:
        return model

    def loss(trial: optuna.Trial) -> float:
        progress(f"search {trial.number + 1} of {_TRIALS}")
        tried = {name: of(trial) for name, of in space.items()}
        settings = model.model_copy(update={"parameters": model.parameters | tried})
        trees = train_boosters(examples.where(learn), settings, range(seed, seed + 1))
        return _compute_loss(trees, examples.where(judge))

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    defaults = {"num_leaves": 7, "num_iterations": 100, "feature_fraction": 0.3, "lambda_l2": 10.0}
    study.enqueue_trial({name: defaults[name] for name in space})
    study.optimize(loss, n_trials=_TRIALS)
    return model.model_copy(update={"parameters": model.parameters | study.best_params})


def _split_forward(frame: TrainingFrame) -> tuple[Mask, Mask]:
    """Rows to learn from, all realised before the newest cutoff, and that cutoff's rows."""
    instants = frame.cutoffs.instants
    newest = len(instants) - 1
    over = instants + frame.horizon_days * DAY <= instants[newest]
    index = frame.rows.cutoff_index
    return over[index], index == newest


def _compute_loss(trees: dict[str, tuple[Trees, ...]], judged: Examples) -> float:
    """Log loss of churn and Tweedie deviance of spend, each over that of a constant forecast."""
    churn = to_probability(trees["churn"][0].predict(judged.inputs) + judged.churn_start)
    spend = np.exp(trees["spend"][0].predict(judged.inputs) + judged.spend_start)
    base = np.full(len(churn), judged.churned.mean())
    mean = np.full(len(spend), judged.spend.mean())
    nothing, ours = (
        (standard_measures.log_loss(chance, judged.churned), _compute_deviance(money, judged.spend))
        for chance, money in ((base, mean), (churn, spend))
    )
    return sum(one / other for one, other in zip(ours, nothing, strict=True) if other > 0)


def _compute_deviance(forecast: Float64, actual: Float64) -> float:
    """Mean Tweedie deviance (power 1.5) at the right level, which `set_levels` estimates later."""
    total = forecast.sum()
    level = actual.sum() / total if total > 0 else 1.0
    positive = np.maximum(forecast * level, 1e-9)
    return standard_measures.mean_tweedie_deviance(positive, actual)
