"""Bringing the database to the schema of this version; a newer one is refused.

Migrations are made from the tables: ``python -m cloud.store.schema "what changes"`` writes the next one
into ``migrations/versions``, to be read and corrected before it is committed.
"""

from __future__ import annotations

import importlib
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from cloud.store.database import Database
from cloud.store.metadata import METADATA, Quantity

MIGRATIONS = Path(__file__).parent / "migrations"

TABLES = (
    "cloud.api.accounts",
    "cloud.dispatching.tables",
    "cloud.ledger.tables",
    "cloud.maintenance.rul.tables",
    "cloud.maintenance.tables",
    "cloud.orders.tables",
    "cloud.quality.tables",
)
"""Modules that declare tables."""


class NewerSchemaError(RuntimeError):
    """The database was written by a newer version of OneLot."""


def migrate(database: Database) -> None:
    """Run the migrations that are missing, all in one transaction; raises NewerSchemaError."""
    database.write(upgrade).result()


def upgrade(tx: Connection, revision: str = "head") -> None:
    """The same within a transaction of the caller, up to a revision."""
    from alembic import command
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory
    from alembic.util.exc import CommandError

    config = _configuration(tx)
    scripts = ScriptDirectory.from_config(config)
    current = MigrationContext.configure(tx).get_current_revision()
    if current is not None:
        try:
            scripts.get_revision(current)
        except CommandError:
            raise NewerSchemaError(
                f"the database has schema {current}, this version of OneLot knows up to "
                f"{scripts.get_current_head()}: start the newer version, or restore a copy from before it ran"
            ) from None
    command.upgrade(config, revision)


def differences(tx: Connection) -> list[Any]:
    """What the tables of the code have and the database has not, or the other way round."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    import_tables()
    context = MigrationContext.configure(tx, opts={"compare_type": True})
    return list(compare_metadata(context, METADATA))


def import_tables() -> None:
    """Have every table of the service in the metadata."""
    for name in TABLES:
        importlib.import_module(name)


def revise(message: str) -> Path:
    """Write the migration that leads from the newest one to the tables of the code; returns its file."""
    from alembic import command
    from alembic.script import ScriptDirectory

    import_tables()
    with (
        tempfile.TemporaryDirectory() as folder,
        Database(f"sqlite:///{Path(folder) / 'empty.db'}") as database,
    ):
        migrate(database)

        def work(tx: Connection) -> Path:
            config = _configuration(tx)
            count = len(list(ScriptDirectory.from_config(config).walk_revisions()))
            slug = re.sub(r"\W+", "_", message.lower()).strip("_")[:40]
            number = f"{count + 1:04}"
            command.revision(config, message, autogenerate=True, rev_id=number)
            (made,) = (MIGRATIONS / "versions").glob(f"{number}_*.py")
            return made.rename(made.with_name(f"{number}_{slug}.py"))

        return database.write(work).result()


def _render(kind: str, item: Any, _context: object) -> str | bool:
    """Migrations must not depend on code that changes: our own types are written as what they store."""
    return "sa.BigInteger()" if kind == "type" and isinstance(item, Quantity) else False


OPTIONS: dict[str, Any] = {
    "target_metadata": METADATA,
    "render_as_batch": True,
    "transactional_ddl": True,
    "compare_type": True,
    "render_item": _render,
}
"""How migrations run and are written."""


def _configuration(tx: Connection) -> Any:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = tx
    return config


if __name__ == "__main__":
    sys.stdout.write(f"{revise(' '.join(sys.argv[1:]) or 'change')}\n")
