"""A provider that signs ID tokens: real keys, published where a server can read them."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from secrets import token_hex
from threading import Thread
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support.running import World

CLIENT = "client.apps.example"


class Issuer:
    """An OpenID provider of which only the keys can be asked for."""

    def __init__(self) -> None:
        self.asked = 0
        self.down = False
        self.keys: dict[str, rsa.RSAPrivateKey] = {}
        self.key_id = self.add_key()
        issuer = self

        class Keys(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked += 1
                body = b"" if issuer.down else issuer.published
                self.send_response(503 if issuer.down else 200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Keys)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, daemon=True).start()

    def add_key(self) -> str:
        """Another key, published from now on."""
        key_id = token_hex(4)
        self.keys[key_id] = rsa.generate_private_key(65537, 2048)
        return key_id

    @property
    def published(self) -> bytes:
        """The key set."""
        algorithm = jwt.algorithms.RSAAlgorithm
        keys = [
            {**algorithm.to_jwk(key.public_key(), as_dict=True), "kid": key_id, "use": "sig", "alg": "RS256"}
            for key_id, key in self.keys.items()
        ]
        return json.dumps({"keys": keys}).encode()

    @property
    def settings(self) -> dict[str, str]:
        """What a project says of it."""
        return {"issuer": self.url, "jwks_url": f"{self.url}/keys"}

    def token(self, *, key_id: str = "", algorithm: str = "RS256", key: Any = None, **claims: Any) -> str:
        """A token of somebody new whose address is verified, unless the claims say otherwise; `None` leaves one out."""
        now = int(time.time())
        said = {
            "iss": self.url,
            "sub": token_hex(8),
            "aud": CLIENT,
            "iat": now,
            "exp": now + 600,
            "email_verified": True,
        } | claims
        present = {name: value for name, value in said.items() if value is not None}
        chosen = key_id or self.key_id
        return jwt.encode(present, self.keys[chosen] if key is None else key, algorithm, headers={"kid": chosen})

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def issuing() -> Iterator[Issuer]:
    """An issuer for a while."""
    issuer = Issuer()
    try:
        yield issuer
    finally:
        issuer.close()


@cache
def google(world: World) -> Issuer:
    """The Google of this world's first project, for as long as the tests run."""
    issuer = Issuer()
    world.provider("google", client_id=CLIENT, native_enabled=True, settings=issuer.settings)
    return issuer
