"""courses of signals over a piece"""


import sqlalchemy as sa
from alembic import op

revision = '0010'
down_revision = '0009'


def upgrade() -> None:
    op.create_table('quality_envelope',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('device', sa.String(length=64), nullable=False),
    sa.Column('program', sa.String(length=200), nullable=False),
    sa.Column('signal', sa.String(length=200), nullable=False),
    sa.Column('state', sa.LargeBinary(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('learned', sa.Integer(), nullable=False),
    sa.Column('parts', sa.Integer(), nullable=False),
    sa.Column('outside', sa.Integer(), nullable=False),
    sa.Column('updated', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_quality_envelope')),
    sa.UniqueConstraint('device', 'program', 'signal', name='uq_quality_envelope_device_program_signal'),
    sqlite_autoincrement=True
    )
    op.create_table('quality_deviation',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('envelope_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('start', sa.BigInteger(), nullable=False),
    sa.Column('end', sa.BigInteger(), nullable=False),
    sa.Column('operation_id', sa.String(length=64), nullable=False),
    sa.Column('outside', sa.Integer(), nullable=False),
    sa.Column('text', sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(['envelope_id'], ['quality_envelope.id'], name=op.f('fk_quality_deviation_envelope_id_quality_envelope')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_quality_deviation')),
    sqlite_autoincrement=True
    )
    with op.batch_alter_table('quality_deviation', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_quality_deviation_envelope_id'), ['envelope_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_quality_deviation_operation_id'), ['operation_id'], unique=False)


def downgrade() -> None:
    raise NotImplementedError("a schema goes forwards only: restore the copy of the database")
