"""`tallystick up`: run the whole platform on this machine until it is told to stop."""

import json
import secrets
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from libs.common.clock import system_clock, to_rfc3339
from tallystick.stack.local_stack import LocalStack, StackOptions
from tallystick.stack.service_settings import dsn_without_password
from tallystick.stack.stack_file import STACK_FILE, Stack


def up_command(
    data: Annotated[Path, typer.Option(help="Folder of the data, keys, logs and stack.json.")] = Path(".tallystick"),
    port: Annotated[int, typer.Option(help="Port of the API; 0 takes any free one.", min=0, max=65535)] = 8080,
    kafka: Annotated[
        str | None, typer.Option(envvar="TALLYSTICK_KAFKA", help="HOST:PORT of a Kafka instead of the local broker.")
    ] = None,
    postgres: Annotated[
        str | None, typer.Option(envvar="TALLYSTICK_POSTGRES", help="Admin DSN of a server instead of the local one.")
    ] = None,
    bench: Annotated[bool, typer.Option("--bench", help="No rate limits, velocity limits beyond reach.")] = False,
    no_rate_limits: Annotated[bool, typer.Option("--no-rate-limits", help="Answer any number of requests.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line when ready.")] = False,
) -> None:
    """Run PostgreSQL, a broker and the five services until Ctrl-C; the same folder carries on with the same data."""
    options = StackOptions(
        folder=data,
        port=port,
        kafka=kafka,
        postgres=postgres,
        rate_limits=not (bench or no_rate_limits),
        velocity_limits=not bench,
    )

    def announce(stack: Stack) -> None:
        if as_json:
            typer.echo(json.dumps(ready_line(stack, options)))
        else:
            _greet(stack, options)

    LocalStack(options, announce=announce, say=_say).run()


def _say(text: str) -> None:
    typer.echo(f"{to_rfc3339(system_clock())} tallystick: {text}", err=True)


def ready_line(stack: Stack, options: StackOptions) -> dict[str, Any]:
    """Return what scripts are told when the stack is ready: everything in `stack.json` but its secrets."""
    content = stack.as_json()
    del content["internal_token"]
    return {
        "ready": True,
        **content,
        "postgres": dsn_without_password(stack.postgres),
        "admin": {"email": stack.admin.email},
        "stack_file": str(options.folder.resolve() / STACK_FILE),
        "rate_limits": options.rate_limits,
        "velocity_limits": options.velocity_limits,
        "second_factor": "off",
    }


def _greet(stack: Stack, options: StackOptions) -> None:
    console = Console(soft_wrap=True, highlight=False)  # wrapped lines could not be pasted
    console.print(f"[bold green]Tallystick is ready[/] at [bold]{stack.api}[/] · Ctrl-C stops it")
    console.print(f"admin credentials: {options.folder.resolve() / STACK_FILE} (key `admin`)", markup=False)
    console.print(f"logs: {options.folder.resolve() / 'logs'}", markup=False)
    console.print(
        f"rate limits {_on(options.rate_limits)} · velocity limits {_on(options.velocity_limits)} · second factor off"
    )
    console.print("\nTry it:")
    for line in curl_lines(stack.api, email=f"ada.{secrets.token_hex(3)}@example.com"):
        console.print(line, markup=False)


def curl_lines(api: str, *, email: str) -> list[str]:
    """Return three lines for a shell: register, log in, open an account. They need only curl and Python."""
    person = {"email": email, "password": "correct horse battery staple", "full_name": "Ada Lovelace"}
    login = {"email": person["email"], "password": person["password"]}
    post = "curl -sS -H 'Content-Type: application/json'"
    pick = (
        """python3 -c 'import json, sys; a = json.load(sys.stdin); print(a.get("access_token") or sys.exit(f"{a}"))'"""
    )
    return [
        f"{post} {api}/api/v1/users -d '{json.dumps(person)}'",
        f"TOKEN=$({post} {api}/api/v1/auth/login -d '{json.dumps(login)}' | {pick})",
        f"""{post} -H "Authorization: Bearer $TOKEN" {api}/api/v1/accounts -d '{json.dumps({"asset": "USD"})}'""",
    ]


def _on(flag: bool) -> str:
    return "on" if flag else "off"
