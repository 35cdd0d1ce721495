"""The commands. Results go to stdout, everything else to stderr."""

from __future__ import annotations

import argparse
import contextlib
import getpass
import os
import sys
import time
from collections.abc import Callable
from itertools import starmap
from pathlib import Path
from urllib.parse import urlsplit

from ..atomic import AtomicFile
from ..credentials.find import find
from ..credentials.key_files import Pair, client_ids, hserver_ini_paths, is_sidefx, write_pair
from ..credentials.token_cache import TokenCache
from ..downloads import download_build, newest_build, this_platform
from ..errors import ConfigError
from ..files import File
from ..proxy import Service, service
from ..proxy import call as call_function
from ..retry import is_read_only
from ..secret import Secret
from ..urls import is_loopback, require_safe_url
from . import display
from .display import print_text, printable, say


def builds(options: argparse.Namespace) -> None:
    production = options.production or options.build == "production"
    with _service(options) as api:
        if options.build == "latest":
            platform = options.platform or this_platform()
            build = newest_build(api, options.product, options.version, platform, production)
            print_text(display.json_text(build) if options.json else " ".join(display.build_cells(build)))
            return
        found = api.download.get_daily_builds_list(
            options.product, version=options.version, platform=options.platform, only_production=production
        )
    is_table = isinstance(found, list) and all(isinstance(build, dict) for build in found)
    if is_table and options.build not in (None, "production"):
        found = [build for build in found if str(build.get("build")) == options.build]
    if is_table and not options.json:
        display.print_builds(found)
    else:
        display.print_result(found)


def download(options: argparse.Namespace) -> None:
    wanted = (options.product, options.version, options.build or "production", options.platform, options.output)
    with _service(options) as api, display.Transfers() as transfers:
        progress = None if options.quiet else transfers.add(f"{options.product} {options.version}")
        path = download_build(api, *wanted, progress=progress, connections=options.connections)
    if transfers.already_there:
        say(f"{printable(path.name)} is already there")
    print_text(str(path))


def call(options: argparse.Namespace) -> None:
    args = [value for name, value in options.items if name is None]
    kwargs = {name: value for name, value in options.items if name is not None}
    target = None if options.output in (None, "-") else Path(options.output)
    with AtomicFile(target) if target else contextlib.nullcontext():
        pass  # raises before the call if the file cannot be created: some calls cannot be made again
    with _service(options) as api, display.Transfers() as transfers:
        for value in kwargs.values():
            if isinstance(value, File) and not options.quiet:
                value.progress = transfers.add(value.name_on_wire)
        result = call_function(api, options.function, args, kwargs)
        if target is not None:
            display.save_result(result, target, None if options.quiet else transfers.add(target.name))
        else:
            display.print_result(result, only_copy=not is_read_only(options.function))


def license_keys(options: argparse.Namespace) -> None:
    server = {"server_name": options.server_name, "server_code": options.server_code}
    version = {"version": options.version} if options.version else {}
    with _service(options) as api:
        keys = api.license.get_non_commercial_license(**server, products=";".join(options.product), **version)
    fields = keys if isinstance(keys, dict) else {}
    server_key, license_keys = fields.get("server_key"), fields.get("license_keys")
    if isinstance(license_keys, list) and all(isinstance(key, str) for key in [server_key, *license_keys]):
        print_text("\n".join(map(printable, [server_key, *license_keys])), only_copy=True)
    else:  # the keys exist now, so print them in whatever form they arrived
        display.print_result(keys, only_copy=True)


def login(options: argparse.Namespace) -> None:
    host = urlsplit(require_safe_url(options.token_url, "--token-url")).hostname or ""
    if not (is_sidefx(host) or is_loopback(host)):
        raise ConfigError(f"hserver.ini has credentials for sidefx.com, not for {host}: use environment variables")
    client_id = _read_line("Client id: ")
    client_secret = Secret(_read_line("Client secret: ", getpass.getpass))
    _service(options, (client_id, client_secret)).close()
    path = hserver_ini_paths()[-1]
    write_pair(path, client_id, client_secret)
    say(f"stored the credentials in {path}")
    with contextlib.suppress(OSError):
        _last_login().parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _last_login().write_text(client_id, encoding="utf-8")
    used = find(None, None, token_url=options.token_url)
    if (used.source, used.client_id) != (path, client_id):
        say(f"warning: client id {printable(used.client_id)} from {used.source} is used first")


def logout(options: argparse.Namespace) -> None:
    path = hserver_ini_paths()[-1]
    known = client_ids(path)
    last = _last_login().read_text(encoding="utf-8") if _last_login().is_file() else None
    client_id = options.client_id or (known[0] if len(set(known)) == 1 else last)
    if client_id not in known:
        listed = ", ".join(map(printable, known)) or "none"
        raise ConfigError(f"give the CLIENT_ID of a pair in {path}; it has {listed}")
    write_pair(path, client_id, None)
    say(f"removed client id {printable(client_id)} from {path}")


def auth(options: argparse.Namespace) -> None:
    token_url = require_safe_url(options.token_url, "--token-url")
    credentials = find(None, None, token_url=token_url)
    print_text(f"Credentials  {credentials.source}\nClient id    {printable(credentials.client_id)}")
    cache = TokenCache(_token_cache(), token_url)
    with _service(options, (None, None)) as api:
        expiry = api.access_token_expiry_time
        cache.put(credentials.client_id, Secret(api.access_token or ""), expiry or time.time() + 60)
    until = time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(expiry)) if expiry else "the server refuses it"
    state = "can be written" if cache.get(credentials.client_id) else "cannot be written"
    print_text(f"Token        valid until {until}\nToken cache  {_token_cache()}, {state}")


def serve(options: argparse.Namespace) -> None:
    from ..testing import LocalServer  # needs the extra "testing"

    with LocalServer(port=options.port) as server:
        formats = {"sh": "export {}='{}'", "PowerShell": "$env:{} = '{}'", "cmd": "set {}={}"}
        lines = {name: "\n".join(starmap(text.format, server.environment.items())) for name, text in formats.items()}
        shell, other = ("PowerShell", "cmd") if os.name == "nt" else ("sh", "PowerShell")
        say(f"Local server at {server.url}, Ctrl-C stops it. In another shell ({shell}):", prefix="")
        print_text(lines[shell])
        say(f"In {other}:\n{lines[other]}", prefix="")
        while True:
            time.sleep(3600)  # on Windows, Ctrl-C ends a sleep but not the wait for a lock


def _service(options: argparse.Namespace, pair: Pair | None = None) -> Service:
    """Return a service. With ``pair`` request a new token, because a cached one would not check the secret."""
    cache = _token_cache() if pair is None else None
    client_id, secret = pair or (None, None)
    urls = options.token_url, options.endpoint_url
    return service(client_id, secret, *urls, timeout=options.timeout, token_cache=cache)  # type: ignore[arg-type]


def _token_cache() -> Path:
    """Return the path of the file that keeps tokens for later commands."""
    import platformdirs  # part of the extra "cli"; format_error() names the extra if it is missing

    return platformdirs.user_cache_path("sidefx-client", appauthor=False) / "tokens.json"


def _last_login() -> Path:
    return _token_cache().with_name("login")  # a file with the client id of the last login


def _read_line(prompt: str, ask: Callable[[str], str] | None = None) -> str:
    """Return a line that ``ask`` reads from a terminal, by default with echo, or the next line of a pipe."""
    terminal = sys.stdin is not None and sys.stdin.isatty()
    if terminal and ask is None:
        say(prompt, prefix="", end="")
    line = ask(prompt) if terminal and ask else sys.stdin.readline() if sys.stdin is not None else ""
    line = line.strip().lstrip("\ufeff")  # PowerShell begins a pipe with a byte order mark
    if not line:
        raise ConfigError(f"no {prompt[:-2].lower()} was given: write both to stdin, each on a line")
    return line
