"""Elsewhere: another process, another folder, only the wheel installed, without the training extras."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

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


@pytest.mark.slow
def test_only_the_wheel_gives_the_same_numbers(
    root: Path, tmp_path: Path, sample: clvcast.Orders, sample_config: clvcast.Config
) -> None:
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    source = tmp_path / "source"  # setuptools leaves a build folder in the tree it builds from
    subprocess.run(["git", "clone", "--quiet", str(root), str(source)], check=True)
    wheels = tmp_path / "wheels"
    build = ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), str(source)]
    subprocess.run([*pip, *build], check=True)
    (wheel,) = wheels.glob("clvcast-*.whl")
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    locked = re.findall(
        r"^(\S+==\S+(?: ;[^\\\n]*)?)", (root / "requirements.lock").read_text(), re.M
    )
    (tmp_path / "constraints.txt").write_text("\n".join(locked))
    install = [
        str(python),
        *pip[1:],
        "install",
        "-c",
        str(tmp_path / "constraints.txt"),
        str(wheel),
    ]
    subprocess.run(install, check=True)
    model = clvcast.train(sample, sample_config)
    model.save(tmp_path / "bundle")
    output = tmp_path / "elsewhere.parquet"
    arguments = [tmp_path / "bundle", root / "data" / "online_retail.parquet", output]
    command = [str(python), "-c", SCRIPT, *map(str, arguments)]
    subprocess.run(command, cwd=tmp_path, check=True)
    here = clvcast.score(model, sample, "2011-12-10")
    pd.testing.assert_frame_equal(pd.read_parquet(output), here, check_exact=True)
