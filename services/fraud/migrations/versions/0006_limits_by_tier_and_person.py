"""Limits by KYC tier and by person, which make a profile's narrower; who changed which limits and rates, and why."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# The figures nobody goes beyond: the constraints below say them once for each table.
_AMOUNTS_CAPPED = "max_minor <= 100000000 AND day_sum_minor <= 500000000"
_COUNTS_CAPPED = "hour_count <= 10000 AND day_count <= 50000"
_ALL_POSITIVE = "min_minor > 0 AND max_minor > 0 AND day_sum_minor > 0 AND hour_count > 0 AND day_count > 0"

_PROFILES = f"""
ALTER TABLE fraud.limit_profiles
    ADD COLUMN reason text NOT NULL DEFAULT 'as installed',
    ADD COLUMN set_by uuid,
    ADD COLUMN set_at timestamptz NOT NULL DEFAULT now();
UPDATE fraud.limit_profiles
SET max_minor = least(max_minor, 100000000), day_sum_minor = least(day_sum_minor, 500000000),
    hour_count = least(hour_count, CASE profile WHEN 'retail' THEN 50 ELSE 10000 END),
    day_count = least(day_count, CASE profile WHEN 'retail' THEN 200 ELSE 50000 END);
ALTER TABLE fraud.limit_profiles
    ADD CONSTRAINT limit_profiles_amounts_capped CHECK ({_AMOUNTS_CAPPED}),
    ADD CONSTRAINT limit_profiles_counts_capped CHECK (
        {_COUNTS_CAPPED} AND (profile <> 'retail' OR (hour_count <= 50 AND day_count <= 200)));
GRANT UPDATE ON fraud.limit_profiles TO tallystick_fraud;

ALTER TABLE fraud.usd_rates
    ADD COLUMN reason text NOT NULL DEFAULT 'as installed',
    ADD COLUMN set_by uuid;
GRANT INSERT, UPDATE ON fraud.usd_rates TO tallystick_fraud;
"""

_BOUNDS = """
    min_minor bigint,
    max_minor bigint,
    day_sum_minor bigint,
    hour_count bigint,
    day_count bigint,
    version integer NOT NULL,
    reason text NOT NULL,
    set_by uuid,
    set_at timestamptz NOT NULL DEFAULT now(),
"""

# A check is fulfilled by what is unknown: null passes each of them, and means that this table does not bound it.
_TIERS = f"""
CREATE TABLE fraud.tier_limits (
    tier smallint NOT NULL,
    {_BOUNDS}
    CONSTRAINT tier_limits_pkey PRIMARY KEY (tier),
    CONSTRAINT tier_limits_tier_known CHECK (tier BETWEEN 1 AND 3),
    CONSTRAINT tier_limits_positive CHECK ({_ALL_POSITIVE}),
    CONSTRAINT tier_limits_amounts_ordered CHECK (min_minor <= max_minor),
    CONSTRAINT tier_limits_amounts_capped CHECK ({_AMOUNTS_CAPPED}),
    CONSTRAINT tier_limits_counts_capped CHECK ({_COUNTS_CAPPED})
);
COMMENT ON TABLE fraud.tier_limits IS 'What a KYC tier may send; null leaves it to the profile. Tier 0 sends nothing.';
INSERT INTO fraud.tier_limits (tier, max_minor, day_sum_minor, version, reason) VALUES
    (1, 100000000, 500000000, 1, 'as installed'),
    (2, 100000000, 500000000, 1, 'as installed'),
    (3, 100000000, 500000000, 1, 'as installed');
GRANT SELECT, UPDATE ON fraud.tier_limits TO tallystick_fraud;
"""

_PERSONAL = f"""
CREATE TABLE fraud.personal_limits (
    user_id uuid NOT NULL,
    {_BOUNDS}
    CONSTRAINT personal_limits_pkey PRIMARY KEY (user_id, version),
    CONSTRAINT personal_limits_user_known FOREIGN KEY (user_id) REFERENCES fraud.users (user_id),
    CONSTRAINT personal_limits_version_positive CHECK (version >= 1),
    CONSTRAINT personal_limits_positive CHECK ({_ALL_POSITIVE}),
    CONSTRAINT personal_limits_amounts_ordered CHECK (min_minor <= max_minor),
    CONSTRAINT personal_limits_amounts_capped CHECK ({_AMOUNTS_CAPPED}),
    CONSTRAINT personal_limits_counts_capped CHECK ({_COUNTS_CAPPED})
);
COMMENT ON TABLE fraud.personal_limits IS
    'Every limit that was set for one customer; users.personal_version names the one in force, 0 that there is none.';
CREATE TRIGGER personal_limits_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON fraud.personal_limits
    FOR EACH STATEMENT EXECUTE FUNCTION fraud.refuse_change();
GRANT SELECT, INSERT ON fraud.personal_limits TO tallystick_fraud;
ALTER TABLE fraud.users ADD COLUMN personal_version integer NOT NULL DEFAULT 0;
"""

# Written by the triggers alone, whoever changes a limit and by which statement: a decision names the versions it used,
# and here is what they said. A change that does not raise the version finds it taken.
_VERSIONS = f"""
CREATE TABLE fraud.limit_versions (
    kind text NOT NULL,
    subject text NOT NULL,
    {_BOUNDS}
    CONSTRAINT limit_versions_pkey PRIMARY KEY (kind, subject, version),
    CONSTRAINT limit_versions_kind_known CHECK (kind IN ('profile', 'tier'))
);
INSERT INTO fraud.limit_versions
    SELECT 'profile', profile, min_minor, max_minor, day_sum_minor, hour_count, day_count, version, reason, set_by,
           set_at
    FROM fraud.limit_profiles
    UNION ALL
    SELECT 'tier', tier::text, min_minor, max_minor, day_sum_minor, hour_count, day_count, version, reason, set_by,
           set_at
    FROM fraud.tier_limits;
CREATE TRIGGER limit_versions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON fraud.limit_versions
    FOR EACH STATEMENT EXECUTE FUNCTION fraud.refuse_change();
CREATE FUNCTION fraud.keep_limit_version() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
    INSERT INTO fraud.limit_versions VALUES (
        TG_ARGV[0], to_jsonb(NEW) ->> TG_ARGV[0], NEW.min_minor, NEW.max_minor, NEW.day_sum_minor, NEW.hour_count,
        NEW.day_count, NEW.version, NEW.reason, NEW.set_by, NEW.set_at);
    RETURN NULL;
END
$$;
CREATE TRIGGER limit_profiles_versioned AFTER INSERT OR UPDATE ON fraud.limit_profiles
    FOR EACH ROW EXECUTE FUNCTION fraud.keep_limit_version('profile');
CREATE TRIGGER tier_limits_versioned AFTER INSERT OR UPDATE ON fraud.tier_limits
    FOR EACH ROW EXECUTE FUNCTION fraud.keep_limit_version('tier');
GRANT SELECT ON fraud.limit_versions TO tallystick_fraud;
"""


def upgrade() -> None:
    op.execute(_PROFILES)
    op.execute(_TIERS)
    op.execute(_PERSONAL)
    op.execute(_VERSIONS)


def downgrade() -> None:
    op.execute(
        """
        DROP TRIGGER limit_profiles_versioned ON fraud.limit_profiles;
        DROP TABLE fraud.limit_versions, fraud.personal_limits, fraud.tier_limits;
        DROP FUNCTION fraud.keep_limit_version;
        ALTER TABLE fraud.users DROP COLUMN personal_version;
        ALTER TABLE fraud.usd_rates DROP COLUMN reason, DROP COLUMN set_by;
        REVOKE INSERT, UPDATE ON fraud.usd_rates FROM tallystick_fraud;
        REVOKE UPDATE ON fraud.limit_profiles FROM tallystick_fraud;
        ALTER TABLE fraud.limit_profiles
            DROP CONSTRAINT limit_profiles_amounts_capped, DROP CONSTRAINT limit_profiles_counts_capped,
            DROP COLUMN reason, DROP COLUMN set_by, DROP COLUMN set_at;
        """
    )
