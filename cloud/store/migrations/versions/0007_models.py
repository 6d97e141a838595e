"""models of remaining life"""


import sqlalchemy as sa
from alembic import op

revision = '0007'
down_revision = '0006'


def upgrade() -> None:
    op.create_table('model_version',
    sa.Column('id', sa.String(length=36), nullable=False),
    sa.Column('scope', sa.String(length=64), nullable=False),
    sa.Column('sha256', sa.String(length=64), nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('file', sa.LargeBinary(), nullable=False),
    sa.Column('summary', sa.JSON(), nullable=False),
    sa.Column('created', sa.BigInteger(), nullable=False),
    sa.Column('changed', sa.BigInteger(), nullable=False),
    sa.Column('changed_by', sa.String(length=32), nullable=False),
    sa.Column('reason', sa.Text(), server_default='', nullable=False),
    sa.Column('activated', sa.BigInteger(), nullable=True),
    sa.Column('shadow_scores', sa.Integer(), server_default='0', nullable=False),
    sa.Column('shadow_difference', sa.Float(), server_default='0', nullable=False),
    sa.Column('drift_kind', sa.String(length=16), server_default='', nullable=False),
    sa.Column('drift_text', sa.Text(), server_default='', nullable=False),
    sa.Column('drift_at', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_model_version'))
    )
    with op.batch_alter_table('model_version', schema=None) as batch_op:
        batch_op.create_index('ix_model_version_scope_state', ['scope', 'state'], unique=False)


def downgrade() -> None:
    raise NotImplementedError("a schema goes forwards only: restore the copy of the database")
