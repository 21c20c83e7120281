"""Write `payroll.csv` again: a business pays 40 employees on 25 days, and five lines need a second look."""  # noqa: INP001 -- a script, run by path

import csv
from datetime import date, timedelta
from pathlib import Path

EMPLOYEES = 40
PAYDAYS = 25
FIRST_PAYDAY = date(2026, 1, 2)
DAYS_BETWEEN = 14
COLUMNS = ("account", "amount", "asset", "idempotency_key", "note")

Line = tuple[str, str, str, str, str]


def payroll() -> list[Line]:
    """Return the 1,000 lines, payday by payday."""
    lines = [salary(payday, employee) for payday in range(1, PAYDAYS + 1) for employee in range(1, EMPLOYEES + 1)]
    for payday, employee, change in (
        (6, 17, {"account": "employee-71"}),  # two digits swapped: nobody has that account
        (11, 23, {"amount": "1000000.01"}),  # one cent above what one transfer may move
        (16, 8, {"amount": "-219.95"}),  # somebody tried to take money back
    ):
        place = _place(payday, employee)
        lines[place] = _changed(lines[place], change)
    # Copied from an earlier payday, key and all: it must not be paid twice.
    lines[_place(21, 31)] = lines[_place(12, 31)]
    return lines


def salary(payday: int, employee: int) -> Line:
    """Return one line; amounts are odd because hours are."""
    label = f"employee-{employee:02}"
    day = FIRST_PAYDAY + timedelta(days=DAYS_BETWEEN * (payday - 1))
    amount_minor = 181_307 + 5_417 * employee + (employee * 7_919 + payday * 10_007) % 23_039
    amount = f"{amount_minor // 100}.{amount_minor % 100:02}"
    return label, amount, "USD", f"salary-{day}-{label}", f"salary {day}"


def _place(payday: int, employee: int) -> int:
    return (payday - 1) * EMPLOYEES + employee - 1


def _changed(line: Line, change: dict[str, str]) -> Line:
    account, amount, asset, key, note = line
    return change.get("account", account), change.get("amount", amount), asset, key, note


def write(path: Path) -> None:
    """Write the file."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(payroll())


if __name__ == "__main__":
    write(Path(__file__).with_name("payroll.csv"))
