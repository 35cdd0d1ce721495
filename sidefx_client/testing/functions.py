"""The documented functions (https://www.sidefx.com/docs/api/) with made-up data. Rejected arguments give a 422.

To add a documented function, add a method to the class of its module below. Add another one in
``documented/functions.py`` for dir(), help() and type checkers. A new module is a class and a line in
``DocumentedFunctions.__init__``. A test compares the parameters of both places.
"""

from __future__ import annotations

import datetime
import hashlib
import inspect
import itertools
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from . import data
from .calls import Refusal

if TYPE_CHECKING:
    from .downloads import Downloads
    from .server import LocalServer

LICENSES = ("HOUDINI-NC", "RENDER-NC")
PRIORITIES = ("SEV1", "SEV2", "SEV3", "SEV4", "SEV5")
SUBMISSION_TYPES = ("bug", "RFE", "question")
SUBMISSION_OPTIONS = {
    "os": ["All", "Linux", "macOS", "Windows", "Not OS Specific"],
    "products": ["All", "Houdini FX", "Houdini Core", "Houdini Indie", "Houdini Engine", "SideFX Labs", "Other"],
    "categories": [
        "general",
        "Animation",
        "Dynamics",
        "Modeling",
        "PDG/TOPs",
        "Python",
        "Rendering",
        "Solaris",
        "Other",
    ],
}
SUMMARY_LIMIT = 100  # characters


class DocumentedFunctions:
    """The functions by name."""

    def __init__(self, server: LocalServer, downloads: Downloads) -> None:
        modules = {
            "download": Download(server, downloads),
            "license": License(),
            "bugs": Bugs(),
            "changelog": Changelog(),
        }
        self.table = {
            f"{name}.{function}": getattr(module, function)
            for name, module in modules.items()
            for function in vars(type(module))
            if not function.startswith("_")
        }

    def call(self, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Return the function's result, or raise Refusal for an unknown name or wrong arguments."""
        function = self.table.get(name)
        if function is None:
            text = f'A test can add one to the local server: server.register("{name}", function).'
            raise Refusal(422, f"Unknown API function: {name}. {text}")
        try:
            inspect.signature(function).bind(*args, **kwargs)
        except TypeError as error:
            raise Refusal(422, f"{name}: {error}") from None
        return function(*args, **kwargs)


class Download:
    def __init__(self, server: LocalServer, downloads: Downloads) -> None:
        self._server = server
        self._downloads = downloads

    def get_daily_builds_list(
        self,
        product: str,
        version: str | list[str] | None = None,
        platform: str | None = None,
        only_production: bool = False,
    ) -> list[data.Build]:
        """Return the matching builds, newest first (numbers compared as strings). For an unknown product return []."""
        if self._server.products is not None:
            _one_of("product", product, self._server.products)
        versions = [version] if isinstance(version, str) else list(data.RELEASES) if version is None else version
        if not isinstance(versions, list):
            raise Refusal(422, f"version must be a string such as '20.5', or a list of them, not {version!r}.")
        for one in versions:
            _one_of("version", one, data.RELEASES)
        portable = product in data.PORTABLE
        prefix = "" if platform is None or portable else _long_form(platform)
        return [
            dict(build)
            for build in data.builds()
            if build["product"] == product
            and build["version"] in versions
            and build["platform"].startswith(prefix)
            and (portable or not only_production or build["release"] == "gold")
        ]

    def get_daily_build_download(self, product: str, version: str, build: Any, platform: str) -> dict[str, Any]:
        """Return the signed URL of a build: of its number, or of the newest gold build for 'production'."""
        versions = [_text("version", version)]
        found = self.get_daily_builds_list(product, versions, platform, only_production=build == "production")
        if build == "production":
            found.sort(key=lambda one: int(one["build"]), reverse=True)
        else:
            found = [one for one in found if one["build"] == str(build)]
        if not found:
            raise Refusal(422, f"There is no build {build} of {product} {version} for {platform}.")
        return self._downloads.sign(found[0])


class License:
    def get_non_commercial_license(
        self, *, server_name: str, server_code: str, products: str, version: str | None = None
    ) -> dict[str, Any]:
        """Return lines that look like license keys but are fake."""
        _text("server_name", server_name)
        _text("server_code", server_code)
        names = _text("products", products).split(";")
        for name in names:
            _one_of("products", name, LICENSES)
        release = data.LATEST if version is None else _one_of("version", version, data.RELEASES)
        return {
            "license_keys": [
                f"LICENSE {name} {release} {server_name} {_fake_key(name, release, server_code)}" for name in names
            ],
            "server_key": f"SERVER {server_name} {server_code} {_fake_key(server_name, server_code)}",
        }


class Bugs:
    def __init__(self) -> None:
        self._submissions = itertools.count(140001)

    def get_submission_options(self) -> dict[str, list[str]]:
        """Return the values that a submission accepts."""
        return SUBMISSION_OPTIONS

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
        watchers: list[str] | tuple[str, ...] = (),
        custom_id: str | None = None,
    ) -> dict[str, Any]:
        """Return a confirmation with a new ``id``. The issue itself is not stored."""
        _one_of("priority", priority, PRIORITIES)
        _one_of("type", type, SUBMISSION_TYPES)
        named = {"product": product, "category": category, "os": os, "version": version, "description": description}
        for name, value in named.items():
            _text(name, value)
        if len(_text("summary", summary)) > SUMMARY_LIMIT:
            raise Refusal(422, f"summary has {len(summary)} characters; {SUMMARY_LIMIT} are allowed.")
        return {"id": next(self._submissions), "type": type, "summary": summary, "custom_id": custom_id}


class Changelog:
    def get_latest_changelog_entries(self, version: str) -> list[dict[str, Any]]:
        """Return entries of the last seven days, newest first."""
        _one_of("version", version, data.RELEASES)
        newest = int(data.RELEASES[version][-1].split()[0])
        today = datetime.date.today()
        return [
            {
                "title": f"{version}.{newest - age}: {title}",
                "description": description,
                "pubdate": f"{today - datetime.timedelta(days=age):%Y/%m/%d}",
                "version": f"{version}.{newest - age}",
                "build": newest - age,
            }
            for age, (title, description) in enumerate(data.CHANGES)
        ]


def _long_form(platform: str) -> str:
    if isinstance(platform, str):
        for short, prefix in data.PLATFORMS.items():
            if platform == short:
                return prefix
            if platform.startswith(prefix):
                return platform
    raise Refusal(
        422,
        f"Unknown platform {platform!r}. Use one of {', '.join(data.PLATFORMS)}, "
        "or a long form such as 'linux_x86_64_gcc11.2'.",
    )


def _one_of(name: str, value: str, allowed: Collection[str]) -> str:
    if value not in tuple(allowed):  # a JSON value may not be hashable
        raise Refusal(422, f"Unknown {name} {value!r}. Use one of {', '.join(allowed)}.")
    return value


def _text(name: str, value: str) -> str:
    if not isinstance(value, str) or not value:
        raise Refusal(422, f"{name} must be a text that is not empty, not {value!r}.")
    return value


def _fake_key(*parts: str) -> str:
    digest = hashlib.sha256(" ".join(parts).encode()).hexdigest()
    return "FAKE-" + "-".join(digest[start : start + 8] for start in range(0, 32, 8))
