"""The commands and options of ``sidefx-client``. No option takes a secret, because other users can list arguments."""

from __future__ import annotations

import argparse
import difflib
import os
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from ..client import ACCESS_TOKEN_URL
from ..documented.functions import MODULES, functions, parameters
from ..transport.session import DEFAULT_TIMEOUT
from ..version import __version__
from . import commands
from .items import item, why_wrong

_RAW = argparse.RawDescriptionHelpFormatter
_DESCRIPTION = "Houdini builds, licenses and the rest of the SideFX Web API."
_EPILOG = """\
examples:
  sidefx-client login
  sidefx-client builds houdini 20.5 --platform linux
  sidefx-client download houdini 20.5 latest -o installers
  eval "$(register-python-argcomplete sidefx-client)"

environment:
  SIDEFX_CLIENT_ID         the credentials; "sidefx-client
  SIDEFX_CLIENT_SECRET     auth" shows their other sources
  SIDEFX_ENDPOINT_URL      another API, such as that of
  SIDEFX_ACCESS_TOKEN_URL  "sidefx-client serve"
  HTTPS_PROXY, NO_PROXY, REQUESTS_CA_BUNDLE, NO_COLOR

exit status: 0 done, 1 error, 2 wrong usage, 4 credentials
  refused, 130 interrupted, 141 closed pipe
"""
_ITEMS = """\
  name=text     a keyword argument, as text
  name:=json    a keyword argument, as JSON
  name@path     a file to upload
  text, :=json  a positional argument, as text or JSON"""
_PRODUCT = "houdini, docker, sidefxlabs, ..."
_PLATFORMS = ("linux", "linux_arm64", "macos", "macosx_arm64", "win64")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Return the options in ``argv`` with the command as ``run``. Wrong usage ends the process with status 2."""
    parser = _build_parser()
    if "_ARGCOMPLETE" in os.environ:
        import argcomplete

        argcomplete.autocomplete(parser)  # ends the process
    options, unknown = parser.parse_known_args(argv)
    wrong = f"unrecognized arguments: {' '.join(unknown)}" if unknown else _why_wrong(options)
    if wrong:
        options.parser.error(wrong)
    return options


def _why_wrong(options: argparse.Namespace) -> str | None:
    """Merge words and options with the same meaning. Return why they are wrong, or None."""
    for name in ("version", "build", "platform"):
        word, option = getattr(options, f"{name}_word", None), getattr(options, name, None)
        if word and option:
            return f"{name.upper()} is given twice, as a word and as --{name}"
        if word:
            setattr(options, name, word)
    if options.command == "download":
        if not options.version:
            return "the following arguments are required: VERSION"
        if not 1 <= options.connections <= 32:
            return f"argument -x: N is a number from 1 to 32, not {options.connections}"
        if options.output == "-":
            return "argument -o: DIR is a directory, so - is not stdout"
    if options.command == "call":
        if not (options.function and options.function.isprintable()):
            return "FUNCTION is a name such as download.get_daily_builds_list"
        return why_wrong(options.function, options.items)
    return None


class _Parser(argparse.ArgumentParser):
    """A parser that suggests near matches. The parser of a command accepts options between the words too."""

    mixing = True
    suggest_on_error = False  # Python 3.14's own suggestions cover commands only

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        if self.mixing:  # before Python 3.12, parse_known_intermixed_args calls this method for a part of its work
            return super().parse_known_args(args, namespace)
        self.mixing = True
        return self.parse_known_intermixed_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        wrong = re.search(r"(?:invalid choice: '|unrecognized arguments: )([^'= ]+)", message)
        if wrong:
            known = [*self._option_string_actions, *(c for action in self._actions for c in action.choices or ())]
            near = difflib.get_close_matches(wrong[1], known, 1)
            message += f"; did you mean {near[0]}?" if near else ""
        super().error(message)


class _CommandParser(_Parser):
    mixing = False


def _build_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        "sidefx-client", description=_DESCRIPTION, epilog=_EPILOG, formatter_class=_RAW, allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"sidefx-client {__version__}")
    _add_common(parser)
    token_url = os.environ.get("SIDEFX_ACCESS_TOKEN_URL") or ACCESS_TOKEN_URL
    parser.set_defaults(token_url=token_url, endpoint_url=None, timeout=DEFAULT_TIMEOUT, verbose=False, quiet=False)
    known = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=_CommandParser)
    _add_builds(known)
    _add_download(known)
    _add_call(known)
    _add_license(known)
    _add_command(known, "login", commands.login, "Store a client id and secret in Houdini's hserver.ini.")
    add = _add_command(known, "logout", commands.logout, "Remove the client id and secret that login stored.")
    add("client_id", metavar="CLIENT_ID", nargs="?", help="if the file has several")
    _add_command(known, "auth", commands.auth, "Request a token; show the source of the credentials.")
    add = _add_command(known, "serve", commands.serve, "Run a local server with made-up data, for tests.")
    add("--port", metavar="PORT", type=int, default=0, help="default: any free port")
    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    # Without defaults, because a default of the command would override an option before its name.
    add = parser.add_argument_group("options of every command", argument_default=argparse.SUPPRESS).add_argument
    add("--endpoint-url", metavar="URL", help="of the API (or SIDEFX_ENDPOINT_URL)")
    add("--token-url", metavar="URL", help="of the token endpoint (or SIDEFX_ACCESS_TOKEN_URL)")
    add("--timeout", metavar="SECONDS", type=float, help="to connect, and between bytes")
    add("-q", "--quiet", action="store_true", help="show no progress")
    add("-v", "--verbose", action="store_true", help="show each request, and errors in full")


def _add_command(known: Any, name: str, run: Any, help: str, *examples: str) -> Any:
    """Add a command and return the function that adds its arguments."""
    epilog = "\n  ".join(["examples:", *(f"sidefx-client {name} {words}" for words in examples)]) if examples else ""
    parser = known.add_parser(
        name, help=help.splitlines()[0], description=help, epilog=epilog, formatter_class=_RAW, allow_abbrev=False
    )
    parser.set_defaults(run=run, parser=parser)
    _add_common(parser)
    return parser.add_argument


def _add_builds(known: Any) -> None:
    text = "List the builds of a product."
    add = _add_command(known, "builds", commands.builds, text, "houdini 20.5", "houdini 20.5 --latest --json")
    add("product", metavar="PRODUCT", help=_PRODUCT)
    add("version_word", metavar="VERSION", nargs="*", help="20.5")
    _add_build_options(add, "append")
    add("--production", action="store_true", help="production builds only")
    add("--latest", dest="build", action="store_const", const="latest", help="the newest good build")
    add("--json", action="store_true", help="print the response of the API")


def _add_download(known: Any) -> None:
    text = "Download a build, or resume its download; print its path."
    examples = ("houdini 20.5", "houdini 20.5 latest -o ~/builds")
    add = _add_command(known, "download", commands.download, text, *examples)
    add("product", metavar="PRODUCT", help=_PRODUCT)
    add("version_word", metavar="VERSION", nargs="?", help="20.5")
    add("build_word", metavar="BUILD", nargs="?", help="a number, latest, or production (the default)")
    _suggest(add("platform_word", metavar="PLATFORM", nargs="?", help="default: this machine's"), _PLATFORMS)
    _add_build_options(add, "store")
    add("-o", "--output", metavar="DIR", default=".", help="created if missing")
    add("-x", "--connections", metavar="N", type=int, default=1, help="download N parts at a time, up to 32")


def _add_build_options(add: Any, action: str) -> None:
    add("--version", metavar="VERSION", action=action, help="in place of the word VERSION")
    add("--build", metavar="BUILD", help="a number, production or latest")
    _suggest(add("--platform", metavar="PLATFORM", help=", ".join(_PLATFORMS) + ", or a long form"), _PLATFORMS)


def _add_call(known: Any) -> None:
    text = f"Call any function; print its JSON, or pass on its stream.\n\n{_ITEMS}"
    examples = ("bugs.get_submission_options", "farm.add scene@shot.hip frames:=240", "scenes.render :=7 -o out.exr")
    add = _add_command(known, "call", commands.call, text, *examples)
    names = [f"{module}.{name}" for module in MODULES for name in functions(module)]
    _suggest(add("function", metavar="FUNCTION", help="module.function"), names)
    items = add("items", metavar="ITEM", nargs="*", type=item, help="an argument, see above")
    items.completer = lambda parsed_args, **_: [
        f"{name}:=" if kind in ("bool", "int") else f"{name}="
        for name, kind in parameters(parsed_args.function).items()
    ]
    add("-o", "--output", metavar="FILE", help="write the result to FILE; - is stdout")


def _add_license(known: Any) -> None:
    text = "Create non-commercial license keys, one a line.\n\nInstall each with: sesictrl install KEY"
    add = _add_command(known, "license", commands.license_keys, text)
    add("server_name", metavar="SERVER_NAME", help="as sesictrl print-server shows it")
    add("server_code", metavar="SERVER_CODE", help="as sesictrl print-server shows it")
    add("--product", metavar="PRODUCT", action="append", required=True, help="HOUDINI-NC, RENDER-NC; or both, twice")
    add("--version", metavar="VERSION", help="20.5")


def _suggest(action: Any, values: Sequence[str]) -> None:
    action.completer = lambda **_: values  # argcomplete looks for this attribute
