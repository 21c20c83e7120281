"""The OpenAPI document of the whole API, made without any server: the five applications are built, none is started."""

import importlib
import json
import os
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from fastapi import FastAPI

from services.gateway.api.complete_document import complete
from services.gateway.api.merged_openapi import merge
from tallystick.stack.service_settings import StackPlan, service_settings
from tallystick.stack.stack_secrets import SERVICES, load_or_make_keys, load_or_make_secrets

_NOWHERE: Final = 1
"""A port on which nobody listens; nothing connects before an application starts."""


@cache
def api_document() -> Mapping[str, Any]:
    """Return what `GET /openapi.json` answers."""
    documents = {name: application.openapi() for name, application in applications().items()}
    own = documents.pop("gateway")
    # In the gateway's own order: of two that describe one route the first one's stands.
    document = complete(merge(own, {name: documents[name] for name in ("ledger", "accounts", "kyc", "fraud")}))
    as_sent: Mapping[str, Any] = json.loads(json.dumps(document))
    return as_sent


@cache
def applications() -> Mapping[str, FastAPI]:
    """Return service → its application in the role `api`, built from settings that lead nowhere."""
    with tempfile.TemporaryDirectory() as folder:
        plan = _plan(Path(folder))
        settings = {key: value for name in SERVICES for key, value in service_settings(name, plan).items()}
        with patch.dict(os.environ, settings):
            return {name: importlib.import_module(f"services.{name}.app").build("api") for name in SERVICES}


def _plan(folder: Path) -> StackPlan:
    return StackPlan(
        postgres="postgresql://nobody@127.0.0.1:1/nothing",
        kafka=f"127.0.0.1:{_NOWHERE}",
        kafka_idempotence=True,
        ports=dict.fromkeys(SERVICES, _NOWHERE),
        secrets=load_or_make_secrets(folder),
        keys=load_or_make_keys(folder),
        checkpoints=folder,
        mail=folder,
        documents=folder,
        rate_limits=True,
        velocity_limits=True,
    )
