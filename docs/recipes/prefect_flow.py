"""Prefect: one flow; an alarm fails it."""

import json
import subprocess

from prefect import flow, get_run_logger

COMMAND = [".venv/bin/clvcast", "nightly", "shop.yaml", "--json"]


@flow(name="clv", retries=0)
def run_nightly() -> int:
    done = subprocess.run(COMMAND, cwd="/srv/clv", capture_output=True, text=True)
    if done.returncode not in (0, 1):  # 1: the candidate was refused, and the champion has scored
        raise RuntimeError(done.stderr)
    for step in json.loads(done.stdout)["steps"]:
        get_run_logger().info("%s: %s: %s", step["name"], step["outcome"], step["sentence"])
    return done.returncode


if __name__ == "__main__":
    run_nightly.serve(name="nightly", cron="15 2 * * *")
