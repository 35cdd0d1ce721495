"""The commands and options of ``sidefx-client``. No option takes a secret: every user of a machine can read those."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import Any

from ..proxy import ACCESS_TOKEN_URL, ENDPOINT_URL
from ..transport.session import DEFAULT_TIMEOUT
from ..version import __version__
from . import commands
from .items import in_place, item

_ITEMS = """\
items:
  name=text      a keyword argument, as text
  name:=json     a keyword argument, as JSON: only_production:=true  version:='["20.0", "20.5"]'
  name@path      a file to upload
  text           a positional argument; --arg TEXT for one that looks like an item
"""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The options that ``argv`` gives, with ``run``, the command; ends the process (status 2) where it is wrong."""
    parser = _parser()
    options = parser.parse_args([*in_place(argv)] if "call" in argv else argv)
    if options.command == "call":
        names = [given.name for given in options.items if given.name is not None]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            parser.error(f"{twice} is given twice")
    return options


class _CommandParser(argparse.ArgumentParser):
    """Takes options between the words, too, which argparse does for nobody who has optional words."""

    _mixing = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        if self._mixing:  # before Python 3.12, argparse calls this method to do its part
            return super().parse_known_args(args, namespace)
        self._mixing = True
        return self.parse_known_intermixed_args(args, namespace)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "sidefx-client",
        description="Houdini builds, licences and any other function of the SideFX Web API.",
        epilog="Credentials: SIDEFX_CLIENT_ID and SIDEFX_CLIENT_SECRET, or a file; sidefx-client auth shows which.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"sidefx-client {__version__}")
    _add_common(parser)
    parser.set_defaults(
        endpoint_url=os.environ.get("SIDEFX_ENDPOINT_URL") or ENDPOINT_URL,
        token_url=os.environ.get("SIDEFX_ACCESS_TOKEN_URL") or ACCESS_TOKEN_URL,
        timeout=DEFAULT_TIMEOUT,
        verbose=False,
    )
    known = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=_CommandParser)
    _add_builds(known)
    _add_download(known)
    _add_call(known)
    _add_license(known)
    _add_command(known, "auth", commands.auth, "Show where the credentials come from, and until when the token holds.")
    _add_command(known, "serve", commands.serve, "Run a local server that speaks as the API does, with made-up data.")
    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    # Without defaults: those of a command would undo what was given before its name.
    group = parser.add_argument_group("options of every command", argument_default=argparse.SUPPRESS)
    group.add_argument("--endpoint-url", metavar="URL", help="of the API (or SIDEFX_ENDPOINT_URL)")
    group.add_argument("--token-url", metavar="URL", help="of the token endpoint (or SIDEFX_ACCESS_TOKEN_URL)")
    group.add_argument("--timeout", metavar="SECONDS", type=float, help="to connect, and between bytes")
    group.add_argument("-v", "--verbose", action="store_true", help="show each request, and errors in full")


def _add_command(known: Any, name: str, run: Any, help: str, **options: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = known.add_parser(
        name,
        help=help,
        description=help,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        **options,
    )
    parser.set_defaults(run=run)
    _add_common(parser)
    return parser


def _add_builds(known: Any) -> None:
    parser = _add_command(known, "builds", commands.builds, "List the builds of a product.")
    parser.add_argument("product", metavar="PRODUCT", help="houdini, docker, sidefxlabs, houdini-launcher, ...")
    parser.add_argument("--version", metavar="VERSION", action="append", help="20.5; may be given more than once")
    parser.add_argument("--platform", metavar="PLATFORM", help="linux, macos, macosx_arm64, win64, or a long form")
    parser.add_argument("--production", action="store_true", help="production builds only")
    parser.add_argument("--json", action="store_true", help="print what the API answers")


def _add_download(known: Any) -> None:
    text = "Download a build, going on where an earlier try ended; print its path."
    parser = _add_command(known, "download", commands.download, text)
    parser.add_argument("product", metavar="PRODUCT", help="houdini, docker, sidefxlabs, houdini-launcher, ...")
    parser.add_argument("version", metavar="VERSION", help="20.5")
    parser.add_argument("build", metavar="BUILD", nargs="?", default="production", help="a number, or production")
    parser.add_argument("platform", metavar="PLATFORM", nargs="?", help="linux, ...; without it, this machine's")
    parser.add_argument("-o", "--output", metavar="DIR", default=".", help="the directory for the file")
    parser.add_argument(
        "-x",
        "--connections",
        metavar="N",
        type=int,
        default=1,
        choices=range(1, 33),
        help="fetch N parts at a time, up to 32",
    )


def _add_call(known: Any) -> None:
    text = "Call any function; print its JSON, or write its stream to a file or a pipe."
    parser = _add_command(known, "call", commands.call, text, epilog=_ITEMS)
    parser.add_argument("function", metavar="FUNCTION", help="download.get_daily_builds_list, for example")
    parser.add_argument("items", metavar="ITEM", nargs="*", type=item, help="an argument, see below")
    parser.add_argument("--arg", metavar="TEXT", help="a positional argument, whatever it looks like")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the answer there")


def _add_license(known: Any) -> None:
    text = "Make non-commercial licence keys, one a line, each for: sesictrl install KEY"
    parser = _add_command(known, "license", commands.license_keys, text)
    parser.add_argument("server_name", metavar="SERVER_NAME", help="as sesictrl print-server shows it")
    parser.add_argument("server_code", metavar="SERVER_CODE", help="as sesictrl print-server shows it")
    parser.add_argument(
        "--product", metavar="PRODUCT", action="append", required=True, help="HOUDINI-NC, RENDER-NC; or both, twice"
    )
    parser.add_argument("--version", metavar="VERSION", help="20.5")
