"""ends of lives"""


import sqlalchemy as sa
from alembic import op

revision = '0012'
down_revision = '0011'


def upgrade() -> None:
    op.create_table('life_end',
    sa.Column('asset', sa.String(length=36), nullable=False),
    sa.Column('version', sa.String(length=36), nullable=False),
    sa.Column('since', sa.BigInteger(), nullable=False),
    sa.Column('upper', sa.Float(), nullable=False),
    sa.Column('lived', sa.Float(), nullable=False),
    sa.Column('ts', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('asset', 'version', 'since', name=op.f('pk_life_end'))
    )


def downgrade() -> None:
    raise NotImplementedError("a schema goes forwards only: restore the copy of the database")
