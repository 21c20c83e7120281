"""What keeps the append-only tables append-only, as the database has it: triggers, their functions, grants, owners."""

from collections.abc import Mapping
from typing import Final

import asyncpg

_ROLE: Final = "tallystick_ledger"
# Who owns a table differs between installations; that it is not the service does not.
_GUARDS: Final = """
SELECT 'trigger ' || c.relname || '.' || t.tgname,
       pg_get_triggerdef(t.oid) || CASE t.tgenabled WHEN 'O' THEN '' ELSE ' -- disabled' END
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE c.relnamespace = 'ledger'::regnamespace AND NOT t.tgisinternal
UNION ALL
SELECT 'function ' || p.proname, trim(p.prosrc) FROM pg_proc p
WHERE p.pronamespace = 'ledger'::regnamespace AND p.prorettype = 'trigger'::regtype
UNION ALL
SELECT 'grant on ' || c.relname || ' to ' || coalesce(g.rolname, 'public'),
       string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type)
FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a LEFT JOIN pg_roles g ON g.oid = a.grantee
WHERE c.relnamespace = 'ledger'::regnamespace AND c.relkind IN ('r', 'v', 'm', 'p') AND a.grantee <> c.relowner
GROUP BY c.relname, g.rolname
UNION ALL
SELECT 'columns granted on ' || c.relname || ' to ' || coalesce(g.rolname, 'public'),
       string_agg(t.attname || ' ' || a.privilege_type, ', ' ORDER BY t.attname, a.privilege_type)
FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid CROSS JOIN LATERAL aclexplode(t.attacl) a
LEFT JOIN pg_roles g ON g.oid = a.grantee
WHERE c.relnamespace = 'ledger'::regnamespace
GROUP BY c.relname, g.rolname
UNION ALL
SELECT 'owner of ' || c.relname, CASE WHEN r.rolname = $1 THEN 'the service' ELSE 'not the service' END
FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner
WHERE c.relnamespace = 'ledger'::regnamespace AND c.relkind IN ('r', 'p')
UNION ALL
SELECT 'role ' || rolname, CASE WHEN rolsuper OR rolreplication OR rolcreaterole THEN 'powerful' ELSE 'powerless' END
FROM pg_roles WHERE rolname = $1
UNION ALL
SELECT 'setting session_replication_role', current_setting('session_replication_role')
"""


async def load_guards(connection: asyncpg.Connection) -> dict[str, str]:
    """Return what guards the ledger's tables: object → how it is defined, sorted by object."""
    return {row[0]: row[1] for row in sorted(await connection.fetch(_GUARDS, _ROLE), key=lambda row: str(row[0]))}


def differing_guards(wanted: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """Return one sentence for each object that is not as it should be, with what mends it."""
    said = [f"{name} is missing; {_mend(name, text)}" for name, text in wanted.items() if name not in found]
    said += [f"{name} should not be there: {text}; remove it" for name, text in found.items() if name not in wanted]
    said += [
        f"{name} is {found[name]}, not {text}; {_mend(name, text)}"
        for name, text in wanted.items()
        if name in found and found[name] != text
    ]
    return said


def _mend(name: str, text: str) -> str:
    """Return what the owner of the tables has to do."""
    kind, _, rest = name.partition(" ")
    if kind == "trigger":
        table, _, trigger = rest.partition(".")
        return f"as the owner: DROP TRIGGER IF EXISTS {trigger} ON ledger.{table}; {text};"
    if kind == "grant":
        table, _, role = rest.removeprefix("on ").partition(" to ")
        return f"as the owner: REVOKE ALL ON ledger.{table} FROM {role}; GRANT {text} ON ledger.{table} TO {role};"
    return f"as the owner: make it {text}"
