"""Which options do several commands share?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DEFAULT = Path("params/demo.yaml")
Params = Annotated[Path, typer.Option("--params", "-p", help="The params file.", show_default=True)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, and nothing else there.")]
Limit = Annotated[int, typer.Option(min=1, help="At most so many, the newest.")]
Overrides = Annotated[list[str] | None, typer.Option("--set", help="Override a params key: drift.psi_alert=0.2")]
AsOf = Annotated[str | None, typer.Option(help="Stand at this time: an ISO time, now, or latest.")]
