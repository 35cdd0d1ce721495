"""A certificate, data files, and nginx on loopback, which serves files and responds to uploads and calls."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import certifi
import trustme

# `return` discards the body of an upload in reads of 4 KiB. It takes 0.5 s of CPU per GiB, less than any client.
NGINX = """
daemon off; master_process off; pid nginx.pid; error_log nginx.log warn;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_max_body_size 0; lingering_time 600s; keepalive_requests 100000000; keepalive_timeout 600s;
  client_body_temp_path temp; proxy_temp_path temp; fastcgi_temp_path temp; uwsgi_temp_path temp; scgi_temp_path temp;
  ssl_certificate server.pem; ssl_certificate_key server.pem; ssl_protocols TLSv1.2 TLSv1.3;
  server {{
    listen 127.0.0.1:{port} ssl; server_name localhost; default_type application/json;
    location = /token {{ return 200 '{{"access_token": "benchmark", "expires_in": 43200}}'; }}
    location = /api/ {{ return 200 '{{"pong": 1, "received": "$content_length"}}'; }}
    location /data/ {{ root .; default_type application/octet-stream; output_buffers 2 512k; }}
  }}
}}
"""


@dataclass(frozen=True)
class Stage:
    """The arguments of a contender. Sizes are in MiB."""

    base: str  # https://localhost:PORT
    far: str  # the same server behind the slow line
    folder: str
    target: str  # file of downloads
    size: int
    digests: dict[str, str]  # of the file of each size; JSON has only text as keys

    def md5(self, mib: int) -> str:
        return self.digests[str(mib)]

    def file(self, mib: int) -> str:
        return f"{self.folder}/data/{mib}.bin"

    def url(self, mib: int, base: str | None = None) -> str:
        return f"{base or self.base}/data/{mib}.bin"

    @property
    def bundle(self) -> str:
        return f"{self.folder}/bundle.pem"

    def environment(self) -> dict[str, str]:
        """Return the environment of a worker: our CA bundle, this checkout first, cached byte code, without proxies."""
        dropped = ("_proxy", "_PROXY", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH")
        env = {name: value for name, value in os.environ.items() if not name.endswith(dropped)}
        for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE"):
            env[name] = self.bundle
        here = Path(__file__).resolve().parent
        env["PYTHONPATH"] = os.pathsep.join([str(here.parents[1]), str(here)])
        env["PYTHONPYCACHEPREFIX"] = f"{self.folder}/bytecode"
        return env


def certificates(folder: Path) -> None:
    """Make the server's certificate, and a bundle of our CA and the public roots, which take 16 ms to load."""
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    (folder / "bundle.pem").write_bytes(Path(certifi.where()).read_bytes() + authority.cert_pem.bytes())


def random_files(folder: Path, sizes: Iterable[int]) -> dict[str, str]:
    """Write reproducible files of `sizes` MiB, and return their MD5s. They stay in the page cache."""
    digests = {}
    folder.mkdir()
    for mib in sizes:
        source, digest = random.Random(mib), hashlib.md5(usedforsecurity=False)
        with open(folder / f"{mib}.bin", "wb") as file:
            for _ in range(mib):
                block = source.randbytes(1 << 20)
                digest.update(block)
                file.write(block)
        digests[str(mib)] = digest.hexdigest()
    return digests


@contextlib.contextmanager
def nginx(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Yield the server's process and its TLS port when it accepts connections."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    (folder / "temp").mkdir()
    (folder / "nginx.conf").write_text(NGINX.format(port=port))
    command = ["nginx", "-p", f"{folder}/", "-c", "nginx.conf", "-e", "nginx.log"]
    # A separate session, so that Ctrl-C ends only the run, which then ends nginx.
    with subprocess.Popen(command, start_new_session=True) as server:
        try:
            while socket.socket().connect_ex(("127.0.0.1", port)):
                if server.poll() is not None:
                    sys.exit(f"nginx exited with {server.returncode}, see the error above")
                time.sleep(0.05)
            yield server, port
        finally:
            server.terminate()
