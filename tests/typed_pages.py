"""Write the Python of pages whose recipes are type-checked as a user's scripts: `make check`."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = ("data-science", "lifetimes")


def main() -> None:
    """Each page's blocks as one script in build/typed."""
    folder = ROOT / "build" / "typed"
    folder.mkdir(parents=True, exist_ok=True)
    for page in PAGES:
        text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
        blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
        script = folder / f"{page.replace('-', '_')}.py"
        script.write_text("\n".join(blocks), encoding="utf-8")


if __name__ == "__main__":
    main()
