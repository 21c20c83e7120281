"""Somebody real: a customer with accounts, money, a hold, a webhook, a key, a batch, made as they are asked for.

Random ids find nothing, so all a route would say to them is 404. These let every second request arrive.
"""

import time
from typing import Any, Final

import httpx2

from libs.common.ids import is_id, new_id
from tests.support.documents import image

PASSWORD: Final = "a password nobody may log 4711"
_TRIES_MAX: Final = 50
_PAUSE_SECONDS: Final = 0.1
_WHOLE: Final = {"Prefer": "wait=10"}
_CSV: Final = "source_account_id,destination_account_id,amount_minor,asset\n{source},{destination},1,USD\n"
_OF_A_HOLD: Final = ("/capture", "/void")
_OF_A_PAYEE: Final = "/reversals"
_OF_A_MACHINE: Final = "/admin/service-accounts"
_ENDING: Final = ("/close", "/status", "/limits")
_ENDED: Final = {
    "/accounts/": ("account_id", "other", "transfer_id", "moved", "batch_id"),
    "/documents/": ("document_id",),
    "/webhooks/": ("webhook_id",),
    "/api-keys/": ("key_id",),
    "/sessions/": ("session_id",),
    _OF_A_MACHINE: ("machine", "its key"),
}


class Person:
    """Somebody who registered and logged in."""

    def __init__(self, api: str) -> None:
        self.http = httpx2.Client(base_url=f"{api}/api/v1", timeout=30)
        self.email = f"{new_id()}@example.com"
        registration = {"email": self.email, "password": PASSWORD, "full_name": "Alice Example"}
        self.user_id = str(self.http.post("/users", json=registration).raise_for_status().json()["user_id"])
        self.log_in()

    def log_in(self) -> None:
        """Log in, also again. Raises: httpx2.HTTPStatusError for who has closed or has another password."""
        answer = self.http.post("/auth/login", json={"email": self.email, "password": PASSWORD})
        tokens = answer.raise_for_status().json()
        self.token, self.refresh_token = str(tokens["access_token"]), str(tokens["refresh_token"])

    @property
    def headers(self) -> dict[str, str]:
        """What says who asks."""
        return {"Authorization": f"Bearer {self.token}"}


class Belongings:
    """What one customer has. Raises: httpx2.HTTPError, for instance once he is let in no more."""

    def __init__(self, api: str, staff: Person) -> None:
        self._staff = staff
        self._made: dict[str, str] = {}
        self.person = Person(api)
        self._http = self.person.http
        application = {"full_name": "Alice Example", "birth_date": "1990-01-01", "country": "DE"}
        self._post("/kyc/application", application, self.person.headers)
        self._post(f"/admin/kyc/{self.person.user_id}/approve", {"version": 1}, staff.headers)

    def in_path(self, name: str, path: str) -> str | None:
        """Return a value for a path's parameter; None for one that any value does for."""
        if _OF_A_MACHINE in path:
            return self._of_a_machine(name)
        if name == "transfer_id" and path.endswith(_OF_A_HOLD):
            return self._transfer(hold=True)
        if name == "transfer_id" and path.endswith(_OF_A_PAYEE):
            return self._once("moved", lambda: self._transfer(hold=False))
        make = {
            "user_id": lambda: self.person.user_id,
            "account_id": self._account,
            "transfer_id": self._deposit,
            "webhook_id": self._webhook,
            "key_id": lambda: self._key("/api-keys", self.person.headers),
            "session_id": lambda: str(self._get("/auth/sessions")["sessions"][0]["session_id"]),
            "batch_id": self._batch,
            "document_id": self._document,
            "code": lambda: "insufficient_funds",
        }.get(name)
        return None if make is None else self._once(name, make)

    def in_body(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Return the body with accounts that exist for those it names, and what lets the customer in."""
        filled = self._with_accounts(body)
        known = {
            "email": self.person.email,
            "password": PASSWORD,
            "old_password": PASSWORD,
            "refresh_token": self.person.refresh_token,
        }
        if "/auth/" in path:
            filled |= {name: value for name, value in known.items() if isinstance(filled.get(name), str)}
        return dict(filled)

    def forget(self, method: str, path: str) -> None:
        """Forget what a request that was carried out has ended, or may have."""
        if method == "DELETE" or path.endswith(_ENDING):
            ended = next((names for part, names in _ENDED.items() if part in path), ())
            self._made = {name: value for name, value in self._made.items() if name not in ended}

    def _with_accounts(self, value: Any) -> Any:
        match value:
            case dict():
                return {name: self._account_for(name, inner) for name, inner in value.items()}
            case list():
                return [self._with_accounts(inner) for inner in value]
            case _:
                return value

    def _account_for(self, name: str, value: Any) -> Any:
        if not (isinstance(value, str) and is_id(value)):
            return self._with_accounts(value)
        match name:
            case "source_account_id" | "account_id":
                return self._once("account_id", self._account)
            case "destination_account_id":
                return self._once("other", self._open)
            case _:
                return value

    def _once(self, name: str, make: Any) -> str:
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]

    def _of_a_machine(self, name: str) -> str | None:
        machine = self._once("machine", self._machine)
        match name:
            case "user_id":
                return machine
            case "key_id":
                keys = f"/admin/service-accounts/{machine}/keys"
                return self._once("its key", lambda: self._key(keys, self._staff.headers))
            case _:
                return None

    def _machine(self) -> str:
        body = {"name": "Till", "roles": ["customer"]}
        return str(self._post("/admin/service-accounts", body, self._staff.headers)["user_id"])

    def _open(self) -> str:
        return str(self._post("/accounts", {"asset": "USD"}, self.person.headers | _WHOLE)["account_id"])

    def _account(self) -> str:
        account_id = self._open()
        self._credit(account_id)
        return account_id

    def _deposit(self) -> str:
        return self._credit(self._once("account_id", self._account))

    def _credit(self, account_id: str) -> str:
        body = {"account_id": account_id, "amount_minor": 100_000, "asset": "USD", "reference": "a first deposit"}
        return str(self._post("/deposits", body, self._staff.headers | _WHOLE | _key())["transfer_id"])

    def _transfer(self, *, hold: bool) -> str:
        body = {
            "source_account_id": self._once("account_id", self._account),
            "destination_account_id": self._once("other", self._open),
            "amount_minor": 100,
            "asset": "USD",
            "hold": hold,
        }
        for _ in range(_TRIES_MAX):  # screening hears of the approval in a moment
            answer = self._http.post("/transfers", json=body, headers=self.person.headers | _WHOLE | _key())
            if answer.is_success:
                break
            time.sleep(_PAUSE_SECONDS)
        return str(answer.raise_for_status().json()["transfer_id"])

    def _webhook(self) -> str:
        self._http.delete(f"/webhooks/{self._made.get('webhook_id', new_id())}", headers=self.person.headers)
        return str(self._post("/webhooks", {"url": "https://shop.example/events"}, self.person.headers)["webhook_id"])

    def _key(self, path: str, headers: dict[str, str]) -> str:
        return str(self._post(path, {"name": "Till", "scopes": ["accounts:read"]}, headers)["key_id"])

    def _batch(self) -> str:
        source, destination = self._once("account_id", self._account), self._once("other", self._open)
        content = _CSV.format(source=source, destination=destination)
        headers = self.person.headers | _key() | {"Content-Type": "text/csv"}
        return str(self._http.post("/batches", content=content, headers=headers).raise_for_status().json()["batch_id"])

    def _document(self) -> str:
        headers = self.person.headers | _key() | {"Content-Type": "image/png"}
        answer = self._http.post("/kyc/documents?kind=tax_number", content=image("PNG"), headers=headers)
        return str(answer.raise_for_status().json()["document_id"])

    def _post(self, path: str, body: dict[str, Any], headers: dict[str, str] | None = None) -> dict[str, Any]:
        answer: dict[str, Any] = self._http.post(path, json=body, headers=headers).raise_for_status().json()
        return answer

    def _get(self, path: str) -> dict[str, Any]:
        answer: dict[str, Any] = self._http.get(path, headers=self.person.headers).raise_for_status().json()
        return answer


def _key() -> dict[str, str]:
    return {"Idempotency-Key": new_id()}
