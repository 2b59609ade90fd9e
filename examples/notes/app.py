"""Notes that verified people read and their authors change. Who that is, accounts-es decides.

Run it beside a server that was started with ``scripts/serve``:

    ACCOUNTS_CREDENTIALS=.data/credentials.json .venv/bin/uvicorn examples.notes.app:app --port 8090

People come with the session they have at accounts-es (a JWT of ``account.createJWT()`` in ``Authorization``); the
notes stay here, and what is protected there is only who may do what with them.
"""

import json
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from appwrite.permission import Permission
from appwrite.role import Role
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

NOTES: dict[str, str] = {}


def accounts(request: Request, *, as_server: bool = False) -> dict[str, str]:
    """The headers of a request to accounts-es, in the name of the caller or in our own."""
    credentials = request.app.state.credentials
    named = {"x-appwrite-project": credentials["project"]}
    if as_server:
        return named | {"x-appwrite-key": credentials["key"]}
    jwt = request.headers.get("authorization", "").removeprefix("Bearer ")
    return named | ({"x-appwrite-jwt": jwt} if jwt else {})


async def me(request: Request) -> dict[str, Any]:
    """Who calls; 401 for nobody."""
    answer = await request.app.state.http.get("/account", headers=accounts(request))
    if answer.status_code != 200:
        raise HTTPException(401)
    return answer.json()


async def may(request: Request, action: str, note: str) -> None:
    """404 unless the caller may do this with the note."""
    answer = await request.app.state.http.post(
        "/access/v1/evaluation",
        headers=accounts(request),
        json={"action": {"name": action}, "resource": {"type": "notes", "id": note}},
    )
    if answer.status_code != 200 or not answer.json()["decision"]:
        raise HTTPException(404)


async def write(request: Request) -> Response:
    """A new note: everybody who is verified reads it, its author changes it."""
    author, note = await me(request), secrets.token_hex(10)
    permissions = [Permission.read(Role.users("verified")), Permission.write(Role.user(author["$id"]))]
    protected = await request.app.state.http.put(
        f"/resources/notes/{note}", headers=accounts(request, as_server=True), json={"permissions": permissions}
    )
    protected.raise_for_status()
    NOTES[note] = (await request.json())["text"]
    return JSONResponse({"id": note}, 201)


async def index(request: Request) -> Response:
    """The notes the caller may read; accounts-es finds them by an index."""
    answer = await request.app.state.http.get("/resources/notes", headers=accounts(request))
    answer.raise_for_status()
    listed = [each["resourceId"] for each in answer.json()["resources"]]
    return JSONResponse([{"id": note, "text": NOTES[note]} for note in listed if note in NOTES])


async def read(request: Request) -> Response:
    """One note."""
    note = request.path_params["note"]
    await may(request, "read", note)
    return JSONResponse({"id": note, "text": NOTES[note]})


async def change(request: Request) -> Response:
    """Another text for a note."""
    note = request.path_params["note"]
    await may(request, "update", note)
    NOTES[note] = (await request.json())["text"]
    return JSONResponse({"id": note, "text": NOTES[note]})


def credentials() -> dict[str, str]:
    """What the server's first start left for us."""
    return json.loads(Path(os.environ["ACCOUNTS_CREDENTIALS"]).read_text(encoding="utf-8"))


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """One client for all requests."""
    app.state.credentials = credentials()
    async with httpx.AsyncClient(base_url=app.state.credentials["endpoint"], trust_env=False) as app.state.http:
        yield


app = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/notes", write, methods=["POST"]),
        Route("/notes", index, methods=["GET"]),
        Route("/notes/{note}", read, methods=["GET"]),
        Route("/notes/{note}", change, methods=["PUT"]),
    ],
)
