"""A customer takes along what is held about him, deleted accounts as well, which the service's role cannot see."""

from alembic import op

revision = "0021"
down_revision = "0020"

_SHOW = """
CREATE FUNCTION accounts.deleted_accounts_of(owner uuid, beyond uuid, most integer) RETURNS SETOF accounts.accounts
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS $$
    SELECT a.* FROM accounts.accounts a
    WHERE a.owner_id = owner AND a.deleted_at IS NOT NULL AND a.account_id > beyond
    ORDER BY a.account_id LIMIT most
$$;
REVOKE ALL ON FUNCTION accounts.deleted_accounts_of FROM PUBLIC;
GRANT EXECUTE ON FUNCTION accounts.deleted_accounts_of TO tallystick_accounts;
"""


def upgrade() -> None:
    op.execute(_SHOW)


def downgrade() -> None:
    op.execute("DROP FUNCTION accounts.deleted_accounts_of")
