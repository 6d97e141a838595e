"""models that edges hold"""


import sqlalchemy as sa
from alembic import op

revision = '0011'
down_revision = '0010'


def upgrade() -> None:
    op.create_table('edge_model',
    sa.Column('edge', sa.String(length=32), nullable=False),
    sa.Column('device', sa.String(length=32), nullable=False),
    sa.Column('deployment', sa.String(length=64), nullable=False),
    sa.Column('sha256', sa.String(length=64), nullable=False),
    sa.Column('since', sa.BigInteger(), nullable=False),
    sa.Column('file', sa.Boolean(), nullable=False),
    sa.Column('refused', sa.String(length=64), nullable=False),
    sa.Column('why', sa.Text(), nullable=False),
    sa.Column('life', sa.BigInteger(), nullable=False),
    sa.Column('told', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('edge', 'device', name=op.f('pk_edge_model'))
    )


def downgrade() -> None:
    raise NotImplementedError("a schema goes forwards only: restore the copy of the database")
