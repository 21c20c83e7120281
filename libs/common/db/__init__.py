"""PostgreSQL: pinned hot connections, the SQLAlchemy engine, the unit of work, migrations."""
