"""Does exactly one of several runners run that are started on one model at the same moment?"""

from __future__ import annotations

import json
from pathlib import Path

import sqlalchemy as sa
import yaml

from faults.kills import DRIFT, Trial, afterwards
from faults.places import Home, restore, rows
from trimtab.act import database, tables

_BUSY = 3


def race(home: Home, template: Path, runners: int, server: str | None = None, name: str = "") -> Trial:
    """Start so many runners at once.

    Parameters
    ----------
    server : str, optional
        Where the ledger lies instead of in the home: a URL with a place for a database's name.
    name : str
        Of its database there.
    """
    restore(home, template)
    if server is not None:
        _move(home, server, name)
    before = rows(home)
    started = [home.start(*DRIFT, "--json") for _ in range(runners)]
    told = [process.communicate(timeout=300) for process in started]
    codes = sorted(process.returncode for process in started)
    problems = [] if codes == [0] + [_BUSY] * (runners - 1) else [f"they ended with {codes}"]
    problems += [f"a traceback: {complained[-800:]}" for _, complained in told if "Traceback" in complained]
    ended = list(zip(started, told, strict=True))
    ran = [json.loads(said)["run_id"] for process, (said, _) in ended if not process.returncode]
    for process, (_, complained) in ended:
        if process.returncode == _BUSY and not any(run_id in complained for run_id in ran):
            problems.append(f"it is not said who holds the lease: {complained[-300:]}")
    what = f"{runners} runners at once{', ledger on PostgreSQL' if server else ''}"
    return Trial(what, problems + afterwards(home, before))


def _move(home: Home, server: str, name: str) -> None:
    """Let a new database on a server be its ledger, with all that its own holds."""
    maintenance = sa.create_engine(server.format("postgres"), isolation_level="AUTOCOMMIT")
    with maintenance.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    maintenance.dispose()
    session, target = home.session(), database.connect(server.format(name))
    with session.ledger.engine.connect() as source, target.begin() as connection:
        for table in tables.metadata.sorted_tables:
            found = [dict(row) for row in source.execute(table.select()).mappings()]
            for row in found:
                row.pop("id", None)    # PostgreSQL numbers these itself
            if found:
                connection.execute(table.insert(), found)
    session.close()
    target.dispose()
    given = yaml.safe_load(home.params.read_text())
    home.params.write_text(yaml.safe_dump(given | {"store": {"ledger": server.format(name)}}))
