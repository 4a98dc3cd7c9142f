"""The scheduling recipes: valid files, and the command of each runs as it is written."""

from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

RECIPES = Path(__file__).parent.parent / "docs" / "recipes"


def read_unit(name: str) -> configparser.ConfigParser:
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string((RECIPES / name).read_text())
    return unit


def run_shell(command: str, folder: Path) -> int:
    """Run a line as a scheduler does, with the folder's own stand-in for clvcast."""
    bare = {"PATH": f"{folder}/.venv/bin:/usr/bin:/bin", "HOME": str(folder)}
    line = command.replace("/srv/clv", shlex.quote(str(folder)))
    return subprocess.run(["/bin/sh", "-c", line], env=bare, cwd=folder).returncode


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose clvcast notes its arguments and ends as STATUS says."""
    program = tmp_path / ".venv" / "bin" / "clvcast"
    program.parent.mkdir(parents=True)
    program.write_text(
        f"#!{sys.executable}\nimport json, pathlib, sys\n"
        "pathlib.Path('arguments.json').write_text(json.dumps(sys.argv[1:]))\n"
        "if '--json' in sys.argv:\n"
        "    step = {'name': 'train', 'outcome': 'done', 'sentence': 'why'}\n"
        "    print(json.dumps({'status': 0, 'steps': [step]}))\n"
        "sys.exit(int(pathlib.Path('status').read_text()))\n"
    )
    program.chmod(0o755)
    return tmp_path


def find_shell_commands() -> dict[str, str]:
    """Each recipe's command as a line of shell, and what a scheduler makes of it."""
    cron = re.findall(r"^[\d*/ ]+\s{2}(cd .*)$", (RECIPES / "crontab").read_text(), re.M)
    service = read_unit("clvcast-nightly.service")["Service"]
    job = yaml.safe_load((RECIPES / "cronjob.yaml").read_text())
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    workflow = yaml.safe_load((RECIPES / "workflow.yml").read_text())
    step = workflow["jobs"]["nightly"]["steps"][0]
    dag = re.findall(r'bash_command="(.*)"', (RECIPES / "airflow_dag.py").read_text())
    assert pod["containers"][0]["command"][:2] == ["sh", "-c"]
    return {
        "cron": cron[0],
        "systemd": service["ExecStart"],
        "kubernetes": pod["containers"][0]["command"][2],
        "workflow": step["run"],
        "airflow": dag[0],
    }


@pytest.mark.parametrize(
    ("recipe", "after_refusal"),
    [("cron", 1), ("systemd", 1), ("airflow", 1), ("kubernetes", 0), ("workflow", 0)],
)
def test_the_command_of_a_recipe_runs_and_tells_a_refusal_from_an_alarm(
    recipe: str, after_refusal: int, folder: Path
) -> None:
    command = find_shell_commands()[recipe]
    for status, expected in ((0, 0), (1, after_refusal), (3, None)):
        (folder / "status").write_text(str(status))
        ended = run_shell(command, folder)
        assert (ended == expected) if expected is not None else ended != 0
        arguments = json.loads((folder / "arguments.json").read_text())
        assert arguments == ["nightly", "shop.yaml", "--quiet"]


def test_a_refusal_is_no_failure_for_systemd_and_airflow() -> None:
    unit = read_unit("clvcast-nightly.service")
    assert unit["Service"]["SuccessExitStatus"] == "1"
    assert unit["Unit"]["OnFailure"] == "clvcast-alarm.service"
    assert read_unit("clvcast-nightly.timer")["Timer"]["OnCalendar"]
    assert "skip_on_exit_code=1" in (RECIPES / "airflow_dag.py").read_text()


class OpFailure(Exception):  # noqa: N818 # Dagster's own name has no Error either
    """Stands for Dagster's."""


@pytest.mark.parametrize(
    ("name", "function"), [("dagster_job", "run_nightly"), ("prefect_flow", "run_nightly")]
)
def test_a_flow_logs_the_steps_and_fails_on_an_alarm(
    name: str, function: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With stand-ins for the scheduler's own names: its decorators return the function."""
    said: list[str] = []

    class Log:
        log = property(lambda self: self)

        def info(self, text: str, *values: object) -> None:
            said.append(text % values if values else text)

    def decorate(*given: Any, **settings: Any) -> Any:
        return given[0] if given and callable(given[0]) else decorate

    stand_ins = dict.fromkeys(("job", "op", "flow", "Definitions"), decorate)
    stand_ins |= {"ScheduleDefinition": decorate, "Failure": OpFailure, "get_run_logger": Log}
    stand_ins["OpExecutionContext"] = object
    source = (RECIPES / f"{name}.py").read_text()
    source = re.sub(r"^from (dagster|prefect) import .*$", "", source, flags=re.M)
    source = source.replace('"/srv/clv"', repr(str(folder)))
    scope: dict[str, Any] = {**stand_ins, "__name__": name}
    exec(compile(source, name, "exec"), scope)
    arguments = (Log(),) if name == "dagster_job" else ()
    for status in (0, 1):
        (folder / "status").write_text(str(status))
        scope[function](*arguments)
        assert said.pop() == "train: done: why"
    (folder / "status").write_text("3")
    with pytest.raises((OpFailure, RuntimeError)):
        scope[function](*arguments)
    assert json.loads((folder / "arguments.json").read_text()) == ["nightly", "shop.yaml", "--json"]


def test_the_page_links_to_every_recipe() -> None:
    page = (RECIPES.parent / "scheduling.md").read_text()
    assert set(re.findall(r"\(recipes/([\w.-]+)\)", page)) == set(os.listdir(RECIPES))
