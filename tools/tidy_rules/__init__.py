"""House law, one small function a rule; `tools/tidy.py` runs them all."""

from tools.tidy_rules import bus, database, imports, money, names, size, text, wall_clock
from tools.tidy_rules.source import Rule

RULES: dict[str, Rule] = {
    rule.__name__.replace("_", "-"): rule
    for rule in (
        money.float_beside_money,
        wall_clock.wall_clock,
        bus.produce_outside_messaging,
        bus.consume_outside_messaging,
        bus.subscriber_options,
        database.commit_outside_unit_of_work,
        imports.impure_value_code,
        text.broad_except,
        text.silent_suppression,
        text.unfinished_work,
        text.machine_path,
        text.skip_without_reason,
        size.long_file,
        size.long_function,
        names.vague_name,
        names.consumer_name,
        names.use_case_name,
    )
}
