"""lives that models tell"""


import sqlalchemy as sa
from alembic import op

revision = '0008'
down_revision = '0007'


def upgrade() -> None:
    op.create_table('life_renewed',
    sa.Column('asset', sa.String(length=36), nullable=False),
    sa.Column('since', sa.BigInteger(), nullable=False),
    sa.Column('actor', sa.String(length=64), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('asset', name=op.f('pk_life_renewed'))
    )
    op.create_table('life_stretch',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('asset', sa.String(length=36), nullable=False),
    sa.Column('version', sa.String(length=36), nullable=False),
    sa.Column('since', sa.BigInteger(), nullable=False),
    sa.Column('first', sa.Integer(), nullable=False),
    sa.Column('begins', sa.BigInteger(), nullable=False),
    sa.Column('ends', sa.BigInteger(), nullable=False),
    sa.Column('content', sa.LargeBinary(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_life_stretch')),
    sa.UniqueConstraint('asset', 'version', 'since', 'first', name='uq_life_stretch')
    )
    op.create_table('remaining_life',
    sa.Column('asset', sa.String(length=36), nullable=False),
    sa.Column('device', sa.String(length=32), nullable=False),
    sa.Column('version', sa.String(length=36), nullable=False),
    sa.Column('updated', sa.BigInteger(), nullable=False),
    sa.Column('content', sa.LargeBinary(), nullable=False),
    sa.PrimaryKeyConstraint('asset', name=op.f('pk_remaining_life'))
    )
    op.create_table('model_drift',
    sa.Column('version', sa.String(length=36), nullable=False),
    sa.Column('seen', sa.LargeBinary(), nullable=False),
    sa.ForeignKeyConstraint(['version'], ['model_version.id'], name=op.f('fk_model_drift_version_model_version')),
    sa.PrimaryKeyConstraint('version', name=op.f('pk_model_drift'))
    )
    op.create_table('model_step',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('version', sa.String(length=36), nullable=False),
    sa.Column('ts', sa.BigInteger(), nullable=False),
    sa.Column('actor', sa.String(length=64), nullable=False),
    sa.Column('event', sa.String(length=16), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(['version'], ['model_version.id'], name=op.f('fk_model_step_version_model_version')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_model_step')),
    sqlite_autoincrement=True
    )
    with op.batch_alter_table('model_step', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_model_step_version'), ['version'], unique=False)


def downgrade() -> None:
    raise NotImplementedError("a schema goes forwards only: restore the copy of the database")
