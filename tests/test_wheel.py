"""Elsewhere: another process, another folder, only the wheel installed, without the training
extras.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from test_embedding import block_of

import clvcast

SCRIPT = """
import sys, clvcast
import importlib.util
assert "site-packages" in clvcast.__file__, clvcast.__file__
assert not any(importlib.util.find_spec(name) for name in ("mlflow", "sklearn", "plotly"))
model = clvcast.load_model(sys.argv[1])
orders = clvcast.read_orders(sys.argv[2], model.numbers.orders.columns)
clvcast.score(model, orders, "2011-12-10").to_parquet(sys.argv[3])
"""
ALONE = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
TOKEN = "a-token-of-this-test"


# scikit-learn is of the extra `train`: absent, hence hidden here, where forecasts are only used
SERVING = """
import sys
sys.modules["sklearn"] = None
import importlib, pkgutil, clvcast
for part in ("configs", "decisions", "features", "models", "orders", "serve"):
    folder = [f"{clvcast.__path__[0]}/{part}"]
    for module in pkgutil.walk_packages(folder, f"clvcast.{part}."):
        importlib.import_module(module.name)
from clvcast.evaluation import comparison, monitoring
"""


@dataclass(frozen=True)
class Installed:
    """A clean environment with the wheel, and what installs more into it."""

    folder: Path
    wheel: Path

    @property
    def python(self) -> str:
        return str(self.folder / "venv" / "bin" / "python")

    @property
    def clvcast(self) -> str:
        return str(self.folder / "venv" / "bin" / "clvcast")

    def install(self, what: str) -> None:
        pip = [self.python, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
        constraints = str(self.folder / "constraints.txt")
        subprocess.run([*pip, "-c", constraints, what], check=True)


@pytest.mark.slow
def test_what_serves_decides_and_monitors_imports_no_scikit_learn() -> None:
    subprocess.run([sys.executable, "-W", "ignore", "-c", SERVING], check=True)


@pytest.fixture(scope="module")
def installed(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("elsewhere")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    source = folder / "source"  # setuptools leaves a build folder in the tree it builds from
    subprocess.run(["git", "clone", "--quiet", str(root), str(source)], check=True)
    build = ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(source)]
    subprocess.run([*pip, *build], check=True)
    (wheel,) = folder.glob("clvcast-*.whl")
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    locked = re.findall(
        r"^(\S+==\S+(?: ;[^\\\n]*)?)", (root / "requirements.lock").read_text(), re.M
    )
    (folder / "constraints.txt").write_text("\n".join(locked))
    found = Installed(folder, wheel)
    found.install(str(wheel))
    return found


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_the_package(root: Path, installed: Installed) -> None:
    command = [
        "git",
        "ls-files",
        "*/*.py",
        "*.py",
        "*.j2",
        "*.css",
        "*.js",
        "configs/*",
        "py.typed",
    ]
    listed = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    parts = {path.parent.name for path in root.glob("*/__init__.py")}
    own = {name for name in listed.split() if "/" not in name or name.split("/")[0] in parts}
    packed = set(zipfile.ZipFile(installed.wheel).namelist())
    assert {f"clvcast/{name}" for name in own} - packed == set()


@pytest.mark.slow
def test_only_the_wheel_gives_the_same_numbers(
    root: Path,
    tmp_path: Path,
    installed: Installed,
    small_sample: clvcast.Orders,
    small_sample_folder: Path,
    sample_config: clvcast.Config,
) -> None:
    model = clvcast.train(small_sample, sample_config)
    model.save(tmp_path / "bundle")
    output = tmp_path / "elsewhere.parquet"
    orders = small_sample_folder / "data" / "online_retail.parquet"
    arguments = [tmp_path / "bundle", orders, output]
    command = [installed.python, "-c", SCRIPT, *map(str, arguments)]
    subprocess.run(command, cwd=tmp_path, check=True, env=ALONE)
    here = clvcast.score(model, small_sample, "2011-12-10")
    pd.testing.assert_frame_equal(pd.read_parquet(output), here, check_exact=True)
    # the README's example of embedding, word for word, beside the bundle it names
    (example,) = re.findall(
        r"\*\*In another service\*\*.*?```python\n(.*?)```", (root / "README.md").read_text(), re.S
    )
    done = subprocess.run(
        [installed.python, "-c", example],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
        env=ALONE,
    )
    lines = pd.DataFrame(
        {
            "customer_id": "17850",
            "ordered_at": ["2011-11-02 10:15", "2011-12-01 09:30"],
            "amount": [120.0, 80.5],
            "order_id": ["1", "2"],
            "product_id": ["A", "B"],
            "quantity": [12, 8],
        }
    )
    with pytest.warns(UserWarning, match="the newest order is 8 days before the cutoff"):
        asked = clvcast.score(model, lines, cutoff="2011-12-10")
    assert done.stdout.strip() == str(asked[["customer_id", "expected_spend", "clv"]]).strip()


@pytest.fixture
def service(shop_lines: pd.DataFrame, tmp_path: Path) -> Path:
    """A folder with a bundle and orders, as docs/embedding.md names them."""
    lines = shop_lines[["customer_id", "ordered_at", "amount"]]
    lines.to_parquet(tmp_path / "orders.parquet")
    orders = clvcast.read_orders(tmp_path / "orders.parquet")
    clvcast.train(orders, clvcast.Config(horizon_days=60, periods=1)).save(tmp_path / "bundle")
    return tmp_path


@pytest.mark.slow
def test_the_example_of_embedding_runs_with_only_the_wheel(
    root: Path, installed: Installed, service: Path
) -> None:
    script = block_of(root, "A plain script")
    done = subprocess.run(
        [installed.python, "-c", script],
        cwd=service,
        check=True,
        capture_output=True,
        text=True,
        env=ALONE,
    )
    model = clvcast.load_model(service / "bundle")
    assert model.version in done.stdout
    many = clvcast.score(model, service / "orders.parquet", cutoff="2021-02-01")
    assert str(many["clv"].sum()) in done.stdout


@pytest.mark.slow
def test_forecasts_are_watched_and_compared_with_only_the_wheel(
    installed: Installed, service: Path
) -> None:
    for cutoff in ("2020-11-01", "2020-12-01"):
        asked = ["--model", "bundle", "--orders", "orders.parquet", "--cutoff", cutoff]
        output = ["--output", f"{cutoff}.parquet", "--quiet"]
        command = [installed.clvcast, "score", *asked, *output]
        subprocess.run(command, cwd=service, check=True, env=ALONE)
    compared = subprocess.run(
        [installed.clvcast, "compare", "2020-11-01.parquet", "2020-12-01.parquet", "--json"],
        cwd=service,
        capture_output=True,
        text=True,
        check=True,
        env=ALONE,
    )
    assert json.loads(compared.stdout)["terms"]
    place = ["--forecasts", "2020-12-01.parquet", "--orders", "orders.parquet"]
    watched = subprocess.run(
        [installed.clvcast, "monitor", *place, "--model", "bundle", "--json"],
        cwd=service,
        capture_output=True,
        text=True,
        check=False,
        env=ALONE,
    )
    assert json.loads(watched.stdout)["matured"][0]["part"] == "all", watched.stderr


@pytest.mark.slow
def test_the_steps_of_the_container(root: Path, installed: Installed, service: Path) -> None:
    """What the Dockerfile does, without an engine: install, warm, serve for others, ask
    for health.
    """
    page = (root / "Dockerfile").read_text()
    missing = subprocess.run(
        [installed.clvcast, "serve", "--model", str(service / "bundle")],
        capture_output=True,
        text=True,
        check=False,
        env=ALONE,
    )
    assert "pip install 'clvcast[serve]'" in missing.stderr
    steps = page[page.index("RUN pip install") : page.index("# Compile once")]
    assert "--require-hashes -r /tmp/requirements-serve.lock" in steps
    assert "--no-deps --no-index /tmp/clvcast-*.whl" in steps
    assert steps.count("pip install") == 2
    pip = [installed.python, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    lock = str(root / "requirements-serve.lock")
    subprocess.run([*pip, "--require-hashes", "-r", lock], check=True)
    subprocess.run([*pip, "--no-deps", "--no-index", str(installed.wheel)], check=True)
    cache = service / "cache"
    environment = dict(ALONE, NUMBA_CACHE_DIR=str(cache))
    environment |= dict(re.findall(r"(NUMBA_CPU_\w+)=\"?([a-z]*)", page))
    assert environment["NUMBA_CPU_NAME"] == "generic"
    subprocess.run([installed.clvcast, "warm", "--quiet"], env=environment, check=True)
    compiled = {path: path.stat().st_mtime_ns for path in cache.rglob("*.nbc")}
    assert compiled
    (service / "tokens").write_text(TOKEN)
    command = re.search(r"exec (clvcast serve [^\\]*)", page)
    assert command is not None
    arguments = command[1].split()[1:]
    arguments[arguments.index("8000")] = "0"
    arguments += ["--model", str(service / "bundle"), "--tokens", str(service / "tokens")]
    with subprocess.Popen(
        [installed.clvcast, *arguments], stderr=subprocess.PIPE, text=True, env=environment
    ) as server:
        assert server.stderr is not None
        listening = json.loads(server.stderr.readline())
        port = listening["url"].rpartition(":")[2]
        health = re.search(r'CMD \["python", "-c", "(.*)"\]', page)
        assert health is not None
        code = health[1].replace("8000", port)
        for _ in range(50):
            asked = subprocess.run([installed.python, "-c", code], capture_output=True, check=False)
            if asked.returncode == 0:
                break
        assert asked.returncode == 0
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/v1/model", headers={"Authorization": f"Bearer {TOKEN}"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            version = json.loads(answer.read())["model_version"]
        assert version == listening["model_version"]
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=60)
    assert server.returncode == 0
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*.nbc")} == compiled
