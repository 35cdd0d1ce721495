"""The documented functions: one source for dir(), help(), type checkers and hints in error messages.

To add a documented function, add a method to the class of its module below. Add another one in ``testing/functions.py``
for the local server. For a new module, add a class and a line in ``Catalogue``. The classes are never instantiated:
``Service`` inherits the annotations of ``Catalogue`` for type checkers, and help.py reads the docstrings.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypedDict


class DailyBuild(TypedDict):
    """One build for one platform. Live responses may carry more keys."""

    build: str  # a number, '382'
    date: str  # '2023/10/26'
    platform: str  # the long form, 'linux_x86_64_gcc11.2'
    product: str
    release: str  # 'devel' (a daily build) or 'gold' (a production build)
    status: str  # 'good' or 'bad'
    version: str  # '20.0'


class BuildDownload(TypedDict):
    """A temporary URL of one build, with the facts to verify the file."""

    date: str
    download_url: str  # signed, on another host, expires soon
    filename: str
    hash: str  # MD5 in hex
    releases_list: str  # 'gold' for a production build
    size: int  # bytes
    status: str


class NonCommercialLicense(TypedDict):
    """License keys for ``sesictrl install``."""

    license_keys: list[str]
    server_key: str


class SubmissionOptions(TypedDict):
    """The values that ``bugs.submit_issue`` accepts."""

    os: list[str]
    products: list[str]
    categories: list[str]


class ChangelogEntry(TypedDict):
    """One change in one build."""

    title: str  # '20.5.534: Improved ...'
    description: str  # HTML
    pubdate: str  # '2025/03/10'
    version: str  # with the build, '20.5.534'
    build: int  # 534


class Module(Protocol):
    """A family of functions on the server."""

    def __getattr__(self, name: str) -> Any: ...  # the server has more functions than its pages document


class Download(Module, Protocol):
    """Builds of Houdini and its companions."""

    def get_daily_builds_list(
        self,
        product: str,
        version: str | Sequence[str] | None = None,
        platform: str | None = None,
        only_production: bool = False,
    ) -> list[DailyBuild]:
        """Return the available builds, newest first (build numbers sort as text: '99' comes before '382').

        product: houdini, docker, sidefxlabs, houdini-launcher or launcher-iso. All but docker and sidefxlabs can
            have a Python version, as in houdini-py310. The server knows more, such as houdini-qt6, and rejects the rest
        version: '20.5', or a list of versions; None for every version
        platform: win64, macos, macosx_arm64, linux, linux_arm64 (from Houdini 22), or a long form such as
            linux_x86_64_gcc11.2; None for every platform. docker and sidefxlabs ignore it
        only_production: leave out daily builds. docker and sidefxlabs ignore it

        Returns a list of dictionaries of text: build ('382'), date ('2023/10/26'), platform (the long form),
        product, release ('devel' or 'gold'), status ('good' or 'bad') and version ('20.0'). A build can have
        several compiler variants for one platform.

        The account must have accepted https://www.sidefx.com/services/eula/ once.
        From https://www.sidefx.com/docs/api/download/index.html
        """

    def get_daily_build_download(self, product: str, version: str, build: str | int, platform: str) -> BuildDownload:
        """Return the URL of one build. sidefx_client.download_build() calls this and downloads the file.

        product, platform: as for get_daily_builds_list
        version: '20.5'
        build: a number, or 'production' for the newest production build

        Returns a dictionary: download_url (a signed URL on another host, expires soon; send no token there),
        filename, size (bytes), hash (MD5 in hex), date, status and releases_list ('gold' for production).

        The account must have accepted https://www.sidefx.com/services/eula/ once.
        From https://www.sidefx.com/docs/api/download/index.html
        """


class License(Module, Protocol):
    """Non-commercial licenses."""

    def get_non_commercial_license(
        self, *, server_name: str, server_code: str, products: str, version: str | None = None
    ) -> NonCommercialLicense:
        """Create license keys for a non-commercial product. Each call creates new keys, so it is never sent twice.

        server_name, server_code: of the license server, as printed by `sesictrl print-server`
        products: 'HOUDINI-NC', 'RENDER-NC', or both as 'HOUDINI-NC;RENDER-NC'
        version: '20.5'; None for the latest public version

        Returns a dictionary: license_keys (a list of lines) and server_key (a line), for `sesictrl install`.
        From https://www.sidefx.com/docs/api/license/index.html
        """


class Bugs(Module, Protocol):
    """The bug database. SideFX Support must have approved the account for it."""

    def get_submission_options(self) -> SubmissionOptions:
        """Return the values that submit_issue accepts: a dictionary of lists of text, os, products and categories.

        From https://www.sidefx.com/docs/api/bugdb/index.html
        """

    def submit_issue(
        self,
        priority: str,
        product: str,
        type: str,
        category: str,
        os: str,
        version: str,
        summary: str,
        description: str,
        watchers: Sequence[str] = (),
        custom_id: str | None = None,
    ) -> dict[str, Any]:
        """File a bug, a request for enhancement or a question. It is never sent twice.

        priority: SEV1 (urgent), SEV2 (high), SEV3 (medium), SEV4 (low) or SEV5 (very low)
        product, category, os: one of the products, categories and os of get_submission_options; if in doubt
            'All', 'general' and 'All'
        type: bug, RFE (a request for enhancement) or question
        version: '20.5.410'
        summary, description: at most 100 characters, and the details
        watchers, custom_id: people to notify, and your own name for the report

        Returns a confirmation, a dictionary whose fields are not public.
        From https://www.sidefx.com/docs/api/bugdb/index.html
        """


class Changelog(Module, Protocol):
    """Changes in the builds."""

    def get_latest_changelog_entries(self, version: str) -> list[ChangelogEntry]:
        """Return the changes of the last 7 days.

        version: '20.5'

        Returns a list of dictionaries: title ('20.5.534: Improved ...'), description (HTML), pubdate ('2025/03/10'),
        version ('20.5.534') and build (534).
        From https://www.sidefx.com/docs/api/changelog/index.html
        """


class Catalogue:
    """The documented modules, by their names on the server."""

    download: Download
    license: License
    bugs: Bugs
    changelog: Changelog


MODULES: dict[str, type[Module]] = {name: globals()[kind] for name, kind in Catalogue.__annotations__.items()}
FUNCTIONS: dict[str, Any] = {
    f"{module}.{name}": function
    for module, kind in MODULES.items()
    for name, function in vars(kind).items()
    if not name.startswith("_")
}


def functions(module: str) -> list[str]:
    """Return the names of a module's documented functions, [] for an undocumented module."""
    return [name.partition(".")[2] for name in FUNCTIONS if name.startswith(f"{module}.")]


def parameters(name: str) -> dict[str, str]:
    """Return the parameters of a documented ``"module.function"`` with their annotations, {} for any other function."""
    annotations = FUNCTIONS[name].__annotations__ if name in FUNCTIONS else {}
    return {key: kind for key, kind in annotations.items() if key != "return"}


def explained(function: Callable[..., Any], least: int = 0, missing: str = "", **hints: str) -> Callable[..., Any]:
    """Return ``function`` with a TypeError that says what to write instead of a likely mistake.

    ``hints`` maps unknown parameters to the right ones; ``missing`` is the text for fewer than ``least`` arguments.
    """

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        mistakes = [f"unknown parameter {name!r}: did you mean {hints[name]}?" for name in kwargs if name in hints]
        if len(args) + len(kwargs) < least:
            mistakes.append(missing)
        given: list[Any] = [args, kwargs]
        del args, kwargs  # frames that raise must not hold secrets
        if not mistakes:
            return function(*given.pop(0), **given.pop(0))  # popped, so that this frame does not hold them
        given.clear()
        raise TypeError(mistakes[0])

    return wrapper


def hint(name: str, keywords: Iterable[str] = ()) -> str | None:
    """Return a hint for a rejected call, or None: the near match for its function, else for a keyword."""
    from difflib import get_close_matches  # slow to import, and only needed for the text of an error

    if name not in FUNCTIONS:
        near = get_close_matches(name, FUNCTIONS, 1, 0.9)
        return f"{name} is not a documented function: did you mean {near[0]}?" if near else None
    known = parameters(name)
    for keyword in keywords:
        if keyword not in known and (near := get_close_matches(keyword, known, 1, 0.7)):
            return f"{keyword} is not a parameter of {name}: did you mean {near[0]}?"
    return None
