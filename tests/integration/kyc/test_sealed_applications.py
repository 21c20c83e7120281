"""What a customer said of himself is sealed, also what an earlier version stored."""

from aiokafka import ConsumerRecord

from libs.common.contracts.accounts import CustomerErased
from libs.common.ids import new_id
from libs.common.messaging.records import Received
from libs.common.personal.sealing import Sealer
from services.kyc.consumers.on_customer_erased import OnCustomerErased
from services.kyc.use_cases.forget_applicants import ForgetApplicants
from services.kyc.use_cases.seal_stored import SealStored
from services.kyc.views.verification_status import VerificationStatusView
from tallystick.stack.rewrapping import PERSONAL, rewrap
from tests.integration.kyc.conftest import World
from tests.support.api_world import MASTER_KEY, admin_connection


async def test_no_table_of_the_service_has_what_was_applied_with(world: World) -> None:
    user_id = new_id()
    await world.apply(user_id, full_name="Zebedee Quixwortham", birth_date="1987-06-05", country="LI")
    await world.decide(user_id, "reject", reviewer=new_id(), reason="blurred")
    stored = ""
    async with admin_connection(world.admin_dsn) as connection:
        for table in await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'kyc'"):
            for row in await connection.fetch(f'SELECT * FROM kyc."{table["tablename"]}"'):
                stored += "".join(v.decode("latin-1") if isinstance(v, bytes) else str(v) for v in row.values())
    assert user_id in stored
    assert [word for word in ("Quixwortham", "Zebedee", "1987-06-05") if word in stored] == []
    assert not any(b"Quixwortham" in item.payload for item in world.publisher.sent)


async def test_what_an_earlier_version_stored_is_sealed_at_the_next_start(world: World) -> None:
    user_id = new_id()
    await world.rows(
        """
        WITH said AS (
            INSERT INTO kyc.verification_events VALUES ($1, 1, 'none', 'in_review', $1, '', now())
        )
        INSERT INTO kyc.verifications (user_id, status, tier, version, full_name, birth_date, country, submitted_at,
            reason, changed_at)
        VALUES ($1, 'in_review', 0, 1, 'Ada Lovelace', '1990-12-10', 'GB', now(), '', now())
        """,
        user_id,
    )
    await SealStored(world.uow)()
    [row] = await world.rows("SELECT * FROM kyc.verifications WHERE user_id = $1", user_id)
    assert (row["full_name"], row["birth_date"], row["country"]) == (None, None, None)
    assert (await VerificationStatusView(world.uow, world.clock).of(user_id)).state.status == "in_review"
    assert (await world.decide(user_id, "approve", reviewer=new_id())).status_code == 200


async def test_an_erased_customer_s_application_is_gone_and_the_decision_stays(world: World) -> None:
    user_id, other = new_id(), new_id()
    for one in (user_id, other):
        await world.apply(one)
    await world.decide(user_id, "approve", reviewer=new_id())
    message = CustomerErased(user_id=user_id, occurred_at="2026-03-01T09:30:00.000000Z")
    record = ConsumerRecord("accounts.erasures.v1", 0, 0, 0, 0, user_id.encode(), b"", None, 0, 0, ())
    for _ in range(2):
        await OnCustomerErased(ForgetApplicants(world.uow, world.clock))([Received(message, record)])
    [row] = await world.rows("SELECT * FROM kyc.verifications WHERE user_id = $1", user_id)
    assert (row["personal_key"], row["application_sealed"], row["status"]) == (None, None, "approved")
    assert (await world.status(user_id))["tier"] == 1
    [kept] = await world.rows("SELECT * FROM kyc.verifications WHERE user_id = $1", other)
    assert kept["personal_key"] is not None


async def test_an_application_goes_over_to_a_newer_master_key_and_stays_as_it_is(world: World) -> None:
    user_id, erased = new_id(), new_id()
    for one in (user_id, erased):
        await world.apply(one)
    await ForgetApplicants(world.uow, world.clock)([erased])
    newer = b"a newer master key for a test!!!"
    renewed, left = await rewrap(world.admin_dsn, Sealer([newer, MASTER_KEY]), PERSONAL["kyc"][0])
    assert (renewed >= 1, left) == (True, 0)
    [row] = await world.rows("SELECT * FROM kyc.verifications WHERE user_id = $1", user_id)
    opened = Sealer([newer]).open(row["personal_key"], user_id, "application", row["application_sealed"])
    assert "Ada Lovelace" in opened
