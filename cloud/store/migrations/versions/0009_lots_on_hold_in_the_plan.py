"""lots on hold in the plan, pieces of a disposition, orders delivered with less"""


import sqlalchemy as sa
from alembic import op

revision = '0009'
down_revision = '0008'


def upgrade() -> None:
    with op.batch_alter_table('plan_operation', schema=None) as batch_op:
        batch_op.add_column(sa.Column('held', sa.Integer(), server_default='0', nullable=False))
    with op.batch_alter_table('nonconformance', schema=None) as batch_op:
        batch_op.add_column(sa.Column('quantity', sa.BigInteger(), nullable=True))
    with op.batch_alter_table('operation', schema=None) as batch_op:
        batch_op.add_column(sa.Column('undelivered', sa.BigInteger(), server_default='0', nullable=False))
    with op.batch_alter_table('orders', schema=None) as batch_op:
        batch_op.add_column(sa.Column('shortage', sa.String(length=8), server_default='replace', nullable=False))


def downgrade() -> None:
    raise NotImplementedError("a schema goes forwards only: restore the copy of the database")
