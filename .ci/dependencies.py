"""The locked dependencies: their licences, a bill of materials, known vulnerabilities.

python .ci/dependencies.py licences     writes docs/licences.md
python .ci/dependencies.py sbom FILE    writes a bill of materials (CycloneDX 1.6, JSON)
python .ci/dependencies.py audit        exit status 1 if a lock has a vulnerable version
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parent.parent
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-serve.lock")
ADVISORIES = ROOT / ".ci" / "advisories.json"
# of packages that state none, or that other systems alone install
STATED = {
    "huey": "MIT",
    "pywin32": "PSF-2.0",
    "skops": "MIT",
    "waitress": "ZPL-2.1",
}
_ENTRY = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)(?: ; ([^\\\n]*))?", re.M)
_LONGEST = 60  # characters of a licence; some packages state the whole text


@dataclass(frozen=True)
class Dependency:
    """A line of a lock."""

    name: str
    version: str
    marker: str  # empty: on every system

    @property
    def licence(self) -> str:
        """As the installed package states it; empty if nowhere."""
        try:
            facts = metadata(self.name)
        except PackageNotFoundError:
            return STATED.get(self.name, "")
        kinds = [
            line.rpartition(" :: ")[2]
            for line in facts.get_all("Classifier") or []
            if line.startswith("License :: ") and line != "License :: OSI Approved"
        ]
        text = (facts.get("License") or "").strip()
        is_name = 0 < len(text) <= _LONGEST and "\n" not in text
        stated = facts.get("License-Expression") or ", ".join(kinds) or (text if is_name else "")
        return stated or STATED.get(self.name, "")


def read_lock(path: Path) -> Iterator[Dependency]:
    """The packages of a lock, in its order."""
    for name, version, marker in _ENTRY.findall(path.read_text(encoding="utf-8")):
        yield Dependency(name, version, marker.strip())


def write_licences(path: Path) -> None:
    """The page of licences."""
    served = {each.name for each in read_lock(ROOT / "requirements-serve.lock")}
    rows = [
        f"| {each.name} | {each.version} | {each.licence} | "
        f"{'yes' if each.name in served else ''} | {each.marker} |"
        for each in read_lock(ROOT / "requirements.lock")
    ]
    head = [
        "# Licences of the dependencies",
        "",
        "This page lists the licence that each dependency states, from `requirements.lock`:",
        "`python .ci/dependencies.py licences` makes it. clvcast itself is under Apache-2.0.",
        "",
        "| package | version | licence | in the container | only if |",
        "|---|---|---|---|---|",
    ]
    path.write_text("\n".join([*head, *rows, ""]), encoding="utf-8")


def write_sbom(path: Path) -> None:
    """A bill of materials: clvcast and the packages of `requirements.lock`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    own = f"pkg:pypi/clvcast@{project['version']}"
    components = [
        {
            "type": "library",
            "bom-ref": f"pkg:pypi/{each.name}@{each.version}",
            "name": each.name,
            "version": each.version,
            "purl": f"pkg:pypi/{each.name}@{each.version}",
            "licenses": [{"license": {"name": each.licence}}],
        }
        for each in read_lock(ROOT / "requirements.lock")
    ]
    content = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": "clvcast",
                "version": project["version"],
                "purl": own,
                "licenses": [{"license": {"id": project["license"]}}],
            }
        },
        "components": components,
        "dependencies": [{"ref": own, "dependsOn": [str(c["bom-ref"]) for c in components]}],
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def list_vulnerable(locks: list[Path]) -> list[str]:
    """A sentence for each locked version that an advisory names."""
    advisories = json.loads(ADVISORIES.read_text(encoding="utf-8"))
    return [
        f"{path.name}: {each.name} {each.version} is vulnerable ({entry['id']}: {entry['what']}); "
        f"affected: {entry['affected']}"
        for path in locks
        for each in read_lock(path)
        for entry in advisories
        if entry["package"] == each.name
        and SpecifierSet(entry["affected"]).contains(each.version, prereleases=True)
    ]


def main() -> None:
    """Run one of the three."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=("licences", "sbom", "audit"))
    parser.add_argument("paths", nargs="*", type=Path)
    stated = parser.parse_args()
    if stated.task == "licences":
        write_licences(stated.paths[0] if stated.paths else ROOT / "docs" / "licences.md")
    elif stated.task == "sbom":
        write_sbom(stated.paths[0])
    else:
        found = list_vulnerable(stated.paths or [ROOT / name for name in LOCKS])
        sys.stdout.write("".join(f"{sentence}\n" for sentence in found))
        sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
