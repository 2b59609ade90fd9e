"""A real nginx asks before it passes a request on."""

import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from accounts_es.adapters.ids import wire_id
from tests.support.running import World
from tests.support.smtp import free_port

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")

pytestmark = pytest.mark.skipif(NGINX is None, reason="there is no nginx on this machine: this was not tested")

CONFIGURATION = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location ~ ^/notes/(?<note>[A-Za-z0-9._-]+)$ {{
            auth_request /decide;
            auth_request_set $user $upstream_http_x_auth_user_id;
            proxy_set_header X-User $user;
            proxy_pass http://127.0.0.1:{upstream};
        }}
        location = /decide {{
            internal;
            proxy_pass http://{accounts}/v1/access/forward?resourceType=notes&resourceId=$note&action=read;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
            proxy_set_header X-Appwrite-Project default;
        }}
    }}
}}
"""


class Notes(BaseHTTPRequestHandler):
    """An application that knows nothing of sessions."""

    def do_GET(self) -> None:
        """Say who nginx says it is."""
        body = f"note for {self.headers['x-user']}".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def proxied(world: World, tmp_path: Path) -> Iterator[str]:
    """An application behind nginx; where nginx answers."""
    port = free_port()
    with ThreadingHTTPServer(("127.0.0.1", 0), Notes) as notes:
        thread = threading.Thread(target=notes.serve_forever, daemon=True)
        thread.start()
        configuration = tmp_path / "nginx.conf"
        accounts = urlsplit(world.server.url).netloc
        upstream = notes.server_address[1]
        configuration.write_text(CONFIGURATION.format(folder=tmp_path, port=port, upstream=upstream, accounts=accounts))
        assert NGINX is not None
        with subprocess.Popen([NGINX, "-c", str(configuration), "-e", str(tmp_path / "error.log")]) as process:
            try:
                _answers(f"http://127.0.0.1:{port}/")
                yield f"http://127.0.0.1:{port}"
            finally:
                process.terminate()
        notes.shutdown()
        thread.join()


def _answers(url: str) -> None:
    for _ in range(500):
        try:
            httpx.get(url, trust_env=False)
        except httpx.TransportError:
            threading.Event().wait(0.02)
        else:
            return
    raise AssertionError("nginx did not start")


def test_nginx_passes_on_what_accounts_es_allows(world: World, proxied: str) -> None:
    jane, note = world.person(), wire_id()
    operator = world.server.operator()
    operator.ask("PUT", f"/resources/notes/{note}", permissions=['read("users/verified")'])
    cookie = f"a_session_default={jane.client.cookies['a_session_default']}"

    def get(**headers: str) -> httpx.Response:
        return httpx.get(f"{proxied}/notes/{note}", headers=headers, trust_env=False)

    assert get().status_code == 401
    assert get(cookie=cookie).status_code == 403
    operator.ask("PATCH", f"/users/{jane.account_id}/verification", emailVerification=True)
    let_in = get(cookie=cookie)
    assert (let_in.status_code, let_in.text) == (200, f"note for {jane.account_id}")
