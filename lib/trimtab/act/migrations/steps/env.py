"""Alembic's own entry: carry migrations out on the connection that `bring_up` hands over."""

from __future__ import annotations

from alembic import context

from trimtab.act.migrations import VERSIONS

context.configure(connection=context.config.attributes["connection"], version_table=VERSIONS)
with context.begin_transaction():
    context.run_migrations()
