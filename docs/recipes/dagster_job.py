"""Dagster: one op; the summary becomes the op's log, an alarm fails it."""

import json
import subprocess

from dagster import Definitions, Failure, OpExecutionContext, ScheduleDefinition, job, op

COMMAND = [".venv/bin/clvcast", "nightly", "shop.yaml", "--json"]


@op
def run_nightly(context: OpExecutionContext) -> None:
    done = subprocess.run(COMMAND, cwd="/srv/clv", capture_output=True, text=True)
    if done.returncode not in (0, 1):  # 1: the candidate was refused, and the champion has scored
        raise Failure(done.stderr)
    for step in json.loads(done.stdout)["steps"]:
        context.log.info(f"{step['name']}: {step['outcome']}: {step['sentence']}")


@job
def clv() -> None:
    run_nightly()


defs = Definitions(schedules=[ScheduleDefinition(job=clv, cron_schedule="15 2 * * *")])
