"""How Alembic runs here: always on the connection of the caller's transaction (see cloud.store.schema)."""

from alembic import context

from cloud.store.schema import OPTIONS

context.configure(connection=context.config.attributes["connection"], **OPTIONS)
with context.begin_transaction():
    context.run_migrations()
