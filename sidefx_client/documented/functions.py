"""The documented functions: signatures, docs and result types for dir(), help() and type checkers, from one source.

The classes are never instantiated. ``Service`` inherits the annotations of ``Catalogue``, so a type checker sees
``service.download`` as a ``Download``; at run time the proxy answers, and help_text makes its help from here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from typing import Protocol
else:
    Protocol = object  # these classes are for type checkers and for help(): real protocols would slow the import


class DailyBuild(TypedDict):
    """One build for one platform. Live answers may carry more keys."""

    build: str  # a number, '382'
    date: str  # '2023/10/26'
    platform: str  # the long form, 'linux_x86_64_gcc11.2'
    product: str
    release: str  # 'devel' (a daily build) or 'gold' (a production build)
    status: str  # 'good' or 'bad'
    version: str  # '20.0'


class BuildDownload(TypedDict):
    """Where one build can be fetched, for a while."""

    date: str
    download_url: str  # signed, on another host, and soon out of date
    filename: str
    hash: str  # MD5 in hex
    releases_list: str  # 'gold' for a production build
    size: int  # bytes
    status: str


class NonCommercialLicense(TypedDict):
    """What ``sesictrl install`` takes."""

    license_keys: list[str]
    server_key: str


class SubmissionOptions(TypedDict):
    """The values that ``bugs.submit_issue`` accepts."""

    os: list[str]
    products: list[str]
    categories: list[str]


class ChangelogEntry(TypedDict):
    """One change in one build."""

    title: str
    description: str  # HTML
    pubdate: str  # '2023/10/26'
    version: str  # '20.0'
    build: int


class Module(Protocol):
    """A family of functions on the server."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...  # the server knows more than its pages tell


class Download(Module, Protocol):
    """Builds of Houdini and its companions."""

    def get_daily_builds_list(
        self,
        product: str,
        version: str | Sequence[str] | None = None,
        platform: str | None = None,
        only_production: bool = False,
    ) -> list[DailyBuild]:
        """The builds that there are, newest first (build numbers sort as text: '99' comes before '382').

        product: houdini, houdini-py3, houdini-py37, houdini-py39, houdini-py310, houdini-py2, docker, sidefxlabs,
            houdini-launcher, houdini-launcher-py3, houdini-launcher-py37, launcher-iso, launcher-iso-py3,
            launcher-iso-py37 or launcher-iso-py2
        version: '20.5', or a list of such; None for every version
        platform: win64, macos, macosx_arm64, linux, or a long form such as linux_x86_64_gcc11.2; None for every
            platform. docker and sidefxlabs ignore it
        only_production: leave the daily builds out. docker and sidefxlabs ignore it

        Returns a list of dictionaries of text: build ('382'), date ('2023/10/26'), platform (the long form),
        product, release ('devel' or 'gold'), status ('good' or 'bad') and version ('20.0'). A build can have
        several compiler variants for one platform.

        The account must have accepted https://www.sidefx.com/services/eula/ once.
        From https://www.sidefx.com/docs/api/download/index.html
        """

    def get_daily_build_download(self, product: str, version: str, build: str | int, platform: str) -> BuildDownload:
        """Where to fetch one build; sidefx_client.download_build() asks this and fetches it.

        product, platform: as for get_daily_builds_list
        version: '20.5'
        build: a number, or 'production' for the newest production build

        Returns a dictionary: download_url (a signed URL that soon ends, on another host: send no token there),
        filename, size (bytes), hash (MD5 in hex), date, status and releases_list ('gold' for production).

        The account must have accepted https://www.sidefx.com/services/eula/ once.
        From https://www.sidefx.com/docs/api/download/index.html
        """


class License(Module, Protocol):
    """Licences without charge."""

    def get_non_commercial_license(
        self, *, server_name: str, server_code: str, products: str, version: str | None = None
    ) -> NonCommercialLicense:
        """Make licence keys for a non-commercial product. Each call makes new ones: it is never sent twice.

        server_name, server_code: the licence server's, as `sesictrl print-server` shows them
        products: 'HOUDINI-NC', 'RENDER-NC', or both as 'HOUDINI-NC;RENDER-NC'
        version: '20.5'

        Returns a dictionary: license_keys (a list of lines) and server_key (a line), for `sesictrl install`.
        From https://www.sidefx.com/docs/api/license/index.html
        """


class Bugs(Module, Protocol):
    """The bug database; SideFX Support must have approved the account for it."""

    def get_submission_options(self) -> SubmissionOptions:
        """The values that submit_issue accepts: a dictionary of lists of text, os, products and categories.

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
        """File a bug, a wish or a question. It is never sent twice.

        priority: SEV1 (urgent), SEV2 (high), SEV3 (medium), SEV4 (low) or SEV5 (very low)
        product, category, os: one of the products, categories and os of get_submission_options; where in doubt
            'All', 'general' and 'All'
        type: bug, RFE (a request for enhancement) or question
        version: '20.5.410'
        summary, description: at most 100 characters, and the whole story
        watchers, custom_id: who else is told about it, and your own name for it

        Returns a confirmation, a dictionary whose fields are not public.
        From https://www.sidefx.com/docs/api/bugdb/index.html
        """


class Changelog(Module, Protocol):
    """What changed in the builds."""

    def get_latest_changelog_entries(self, version: str) -> list[ChangelogEntry]:
        """The changes of the last 7 days.

        version: '20.5'

        Returns a list of dictionaries: title, description (HTML), pubdate ('2023/10/26'), version, build (int).
        From https://www.sidefx.com/docs/api/
        """


class Catalogue:
    """The documented modules, by the names that the server knows them under."""

    download: Download
    license: License
    bugs: Bugs
    changelog: Changelog


MODULES: dict[str, type[Module]] = {name: globals()[kind] for name, kind in Catalogue.__annotations__.items()}


def functions(module: str) -> list[str]:
    """The names of a module's documented functions; none for a module that is not documented."""
    return [name for name in vars(MODULES.get(module, object)) if not name.startswith("_")]


def read_only(name: str) -> bool:
    """Whether a call of the function may be sent again when nobody can say if the first one arrived."""
    function = name.rpartition(".")[2]
    # Despite its name it makes a licence each time.
    return function.startswith("get_") and function != "get_non_commercial_license"


def suggestion(name: str) -> str | None:
    """The documented function that ``"module.function"``, which is not documented, may have meant."""
    from difflib import get_close_matches  # only for the text of an error

    module = name.partition(".")[0]
    known = [f"{family}.{function}" for family in MODULES for function in functions(family)]
    if name in known:
        return None
    if module not in MODULES:  # most likely a module that no page tells of
        near = get_close_matches(name, known, n=1, cutoff=0.85)
    else:
        near = get_close_matches(name, [f"{module}.{function}" for function in functions(module)], n=1)
    return near[0] if near else None
