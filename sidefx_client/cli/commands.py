"""What each command does: its result goes to stdout, all else to stderr."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from ..credentials.find import find
from ..downloads import download_build
from ..errors import ConfigError
from ..files import File, ResponseFile
from ..proxy import Service, service
from ..proxy import call as call_function
from ..sealed import seal
from ..transport.connection import BLOCK
from ..urls import checked
from .display import Bars, is_builds, json_text, print_builds


def builds(options: argparse.Namespace) -> None:
    with _service(options, _token_cache()) as api:
        found = api.download.get_daily_builds_list(
            options.product,
            version=options.version,
            platform=options.platform,
            only_production=options.production,
        )
    if is_builds(found) and not options.json:
        print_builds(found)
    else:
        _show(found)


def download(options: argparse.Namespace) -> None:
    with _service(options, _token_cache()) as api, Bars() as bars:
        path = download_build(
            api,
            options.product,
            options.version,
            options.build,
            options.platform,
            options.output,
            progress=bars.add(f"{options.product} {options.version}"),
            connections=options.connections,
        )
    print(path)


def call(options: argparse.Namespace) -> None:
    args = [item.value for item in options.items if item.name is None]
    kwargs = {item.name: item.value for item in options.items if item.name is not None}
    target = _checked_target(options.output)
    with _service(options, _token_cache()) as api, Bars() as bars:
        for value in kwargs.values():
            if isinstance(value, File):
                value.progress = bars.add(value.name_on_wire)
        answer = call_function(api, options.function, args, kwargs)
        if isinstance(answer, ResponseFile) and target is not None:
            answer.save(target, progress=bars.add(target.name))
            return
    if target is not None and not isinstance(answer, ResponseFile):
        target.write_text(json_text(answer, ascii_only=True) + "\n", encoding="ascii")
    else:
        _show(answer)


def license_keys(options: argparse.Namespace) -> None:
    with _service(options, _token_cache()) as api:
        keys = api.license.get_non_commercial_license(
            server_name=options.server_name,
            server_code=options.server_code,
            products=";".join(options.product),
            **({"version": options.version} if options.version else {}),
        )
    fields = keys if isinstance(keys, dict) else {}
    server_key, license_keys = fields.get("server_key"), fields.get("license_keys")
    if isinstance(license_keys, list) and all(isinstance(key, str) for key in [server_key, *license_keys]):
        print(server_key, *license_keys, sep="\n")
    else:  # they have been made: in whatever form they come, they must not be lost
        _show(keys)


def auth(options: argparse.Namespace) -> None:
    credentials = find(seal(None, None), token_url=checked(options.token_url, "--token-url"))
    print(f"Credentials  {credentials.source}")
    print(f"Client id    {credentials.client_id}")
    with _service(options, None) as api:  # a kept token would say nothing of the secret
        expiry = api.access_token_expiry_time
    if expiry is None:
        print("Token        good until the server refuses it")
    else:
        print(time.strftime("Token        good until %Y-%m-%d %H:%M:%S %Z", time.localtime(expiry)))
    print(f"Kept in      {_token_cache()} by the other commands")


def serve(options: argparse.Namespace) -> None:
    from ..testing import LocalServer  # an extra of its own

    with LocalServer() as server:
        print(f"Local server at {server.url}, Ctrl-C stops it. In another shell:", file=sys.stderr)
        for name, value in server.environment.items():
            print(f"set {name}={value}" if os.name == "nt" else f"export {name}={shlex.quote(value)}", flush=True)
        while True:
            time.sleep(3600)  # on Windows, Ctrl-C ends a sleep and not the wait for a lock


def _service(options: argparse.Namespace, token_cache: Path | None) -> Service:
    return service(
        access_token_url=options.token_url,
        endpoint_url=options.endpoint_url,
        timeout=options.timeout,
        token_cache=token_cache,
    )


def _token_cache() -> Path:
    import platformdirs  # of the extra; complaint() says so

    return platformdirs.user_cache_path("sidefx-client", appauthor=False) / "tokens.json"


def _checked_target(output: str | None) -> Path | None:
    """Where the answer goes, looked at before the call is made: some cannot be made again."""
    if output is None:
        return None
    target = Path(output)
    if not target.parent.is_dir() or (target.exists() and not target.is_file()):  # /dev/null would be replaced
        raise ConfigError(f"-o {output}: give the path of a file, in a directory that is there")
    return target


def _show(answer: Any) -> None:
    if isinstance(answer, ResponseFile):
        _pass_on(answer)
    else:
        print(json_text(answer))


def _pass_on(answer: ResponseFile) -> None:
    """The stream to the pipe or file that stdout is."""
    with answer:
        if sys.stdout.isatty():
            name = f" {answer.name}" if answer.name else ""
            raise ConfigError(f"the answer is a file{name}, not for a terminal: give -o FILE, or send it to a pipe")
        shutil.copyfileobj(answer, sys.stdout.buffer, BLOCK)
