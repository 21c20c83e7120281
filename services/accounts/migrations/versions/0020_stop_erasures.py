"""What was asked to be erased can be stopped: who asked withdraws it, anybody else of the staff refuses it.

What was stopped is over, so it may be asked anew at once; until then the row says who stopped it, and why. The function
that erases needs no change: the trigger lets nothing be done with what was stopped.
"""

from alembic import op

revision = "0020"
down_revision = "0019"

_STOPS = """
ALTER TABLE accounts.erasures ADD COLUMN stopped_by uuid, ADD COLUMN stopped_at timestamptz,
    ADD COLUMN stop_reason text,
    ADD CONSTRAINT erasures_stop_whole CHECK (num_nonnulls(stopped_by, stopped_at, stop_reason) IN (0, 3)),
    ADD CONSTRAINT erasures_stop_reason_known CHECK (stop_reason IN ('mistaken', 'not_confirmed', 'still_needed')),
    ADD CONSTRAINT erasures_stopped_by_others CHECK (stopped_by <> user_id),
    ADD CONSTRAINT erasures_stopped_in_time CHECK (stopped_at < expires_at),
    ADD CONSTRAINT erasures_end_once CHECK (num_nonnulls(erased_at, stopped_at) <= 1);

DROP TRIGGER erasures_fixed ON accounts.erasures;
CREATE TRIGGER erasures_fixed BEFORE UPDATE ON accounts.erasures FOR EACH ROW
    WHEN (OLD.erased_at IS NOT NULL
          OR CASE WHEN (NEW.user_id, NEW.requested_by, NEW.requested_at, NEW.expires_at)
                       IS DISTINCT FROM (OLD.user_id, OLD.requested_by, OLD.requested_at, OLD.expires_at)
             THEN OLD.stopped_at IS NULL AND OLD.expires_at > NEW.requested_at OR NEW.stopped_at IS NOT NULL
             ELSE OLD.stopped_at IS NOT NULL END)
    EXECUTE FUNCTION accounts.refuse_other_erasure();

GRANT UPDATE (stopped_by, stopped_at, stop_reason) ON accounts.erasures TO tallystick_accounts;
"""


def upgrade() -> None:
    op.execute(_STOPS)


def downgrade() -> None:
    raise NotImplementedError("what was stopped would wait again")
