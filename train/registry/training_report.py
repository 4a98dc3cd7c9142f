"""The report of a training run: what the new model expects of its customers, and how good its twin was."""

from __future__ import annotations

from ...configs.schema import Config
from ...decisions.report.build import Report, report
from ...evaluation.backtest_frames import Evaluation
from ...models.scoring import describe_terms, forecast_rows
from ..run import TrainingRun

__all__ = ["REPORT_FILE", "write_training_report"]

REPORT_FILE = "report.html"


def write_training_report(run: TrainingRun, config: Config) -> Report:
    """Forecasts at the run's cutoff as a report; it names no customer."""
    held_out = run.evaluation
    return report(
        describe_terms(run.model).carried_by(forecast_rows(run.model, run.known, run.cutoff)),
        run.known,
        config,
        model=run.model,
        backtest=None if held_out is None else Evaluation(held_out.forecasts, held_out.metrics),
    )
