"""The documented functions (https://www.sidefx.com/docs/api/), with made-up data; what they refuse is a 422."""

from __future__ import annotations

import datetime
import hashlib
import inspect
import itertools
from collections.abc import Callable
from typing import Any

from . import data
from .calls import Refusal

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
    """A table of them by name: ``offer`` makes what get_daily_build_download answers for a build."""

    def __init__(self, offer: Callable[[data.Build], dict[str, Any]]) -> None:
        self._offer = offer
        self._submissions = itertools.count(140001)
        self._table: dict[str, Callable[..., Any]] = {
            "download.get_daily_builds_list": get_daily_builds_list,
            "download.get_daily_build_download": self.get_daily_build_download,
            "license.get_non_commercial_license": get_non_commercial_license,
            "bugs.get_submission_options": get_submission_options,
            "bugs.submit_issue": self.submit_issue,
            "changelog.get_latest_changelog_entries": get_latest_changelog_entries,
        }

    def call(self, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """The result of the function, or a Refusal where there is none of this name, or the arguments do not fit."""
        function = self._table.get(name)
        if function is None:
            raise Refusal(
                422,
                f"Unknown API function: {name}. A test can give the local server one: "
                f'server.register("{name}", function).',
            )
        try:
            inspect.signature(function).bind(*args, **kwargs)
        except TypeError as error:
            raise Refusal(422, f"{name}: {error}") from None
        return function(*args, **kwargs)

    def get_daily_build_download(self, product: str, version: str, build: Any, platform: str) -> dict[str, Any]:
        """Where the file of one build is; ``build`` is its number, or 'production' for the newest gold one."""
        versions = [_text("version", version)]
        found = get_daily_builds_list(product, versions, platform, only_production=build == "production")
        if build == "production":
            found.sort(key=lambda one: int(one["build"]), reverse=True)
        else:
            found = [one for one in found if one["build"] == str(build)]
        if not found:
            raise Refusal(422, f"There is no build {build} of {product} {version} for {platform}.")
        return self._offer(found[0])

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
        watchers: list[str] | None = None,
        custom_id: str | None = None,
    ) -> dict[str, Any]:
        """A confirmation with the new ``id``; nothing is kept."""
        _one_of("priority", priority, PRIORITIES)
        _one_of("type", type, SUBMISSION_TYPES)
        named = {"product": product, "category": category, "os": os, "version": version, "description": description}
        for name, value in named.items():
            _text(name, value)
        if len(_text("summary", summary)) > SUMMARY_LIMIT:
            raise Refusal(422, f"summary has {len(summary)} characters; {SUMMARY_LIMIT} are allowed.")
        return {"id": next(self._submissions), "type": type, "summary": summary, "custom_id": custom_id}


def get_daily_builds_list(
    product: str,
    version: str | list[str] | None = None,
    platform: str | None = None,
    only_production: bool = False,
) -> list[data.Build]:
    """The builds that fit, newest first (their numbers compared as strings)."""
    _one_of("product", product, tuple(data.PRODUCTS))
    versions = [version] if isinstance(version, str) else list(data.RELEASES) if version is None else version
    if not isinstance(versions, list):
        raise Refusal(422, f"version must be a string such as '20.5', or a list of them, not {version!r}.")
    for one in versions:
        _one_of("version", one, tuple(data.RELEASES))
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


def get_non_commercial_license(
    server_name: str, server_code: str, products: str, version: str | None = None
) -> dict[str, Any]:
    """Lines that look like licence keys, and are none."""
    _text("server_name", server_name)
    _text("server_code", server_code)
    names = _text("products", products).split(";")
    for name in names:
        _one_of("products", name, LICENSES)
    release = "21.0" if version is None else _one_of("version", version, tuple(data.RELEASES))
    return {
        "license_keys": [
            f"LICENSE {name} {release} {server_name} {_fake_key(name, release, server_code)}" for name in names
        ],
        "server_key": f"SERVER {server_name} {server_code} {_fake_key(server_name, server_code)}",
    }


def get_submission_options() -> dict[str, list[str]]:
    """What a submission may name."""
    return SUBMISSION_OPTIONS


def get_latest_changelog_entries(version: str) -> list[dict[str, Any]]:
    """Entries of the last seven days, newest first."""
    _one_of("version", version, tuple(data.RELEASES))
    build = int(data.RELEASES[version][-1].split()[0])
    today = datetime.date.today()
    texts = (
        "<p>Fixed a crash when the <code>Vellum Solver</code> had no input.</p>",
        "<p>Added a <b>Seed</b> parameter to the Scatter SOP &amp; its handles.</p>",
        "<p>The <code>hserver</code> log is no longer written twice.</p>",
    )
    return [
        {
            "title": f"Houdini {version}.{build - age}",
            "description": text,
            "pubdate": f"{today - datetime.timedelta(days=age):%Y/%m/%d}",
            "version": version,
            "build": build - age,
        }
        for age, text in enumerate(texts)
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


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise Refusal(422, f"Unknown {name} {value!r}. Use one of {', '.join(allowed)}.")
    return value


def _text(name: str, value: str) -> str:
    if not isinstance(value, str) or not value:
        raise Refusal(422, f"{name} must be a text that is not empty, not {value!r}.")
    return value


def _fake_key(*parts: str) -> str:
    digest = hashlib.sha256(" ".join(parts).encode()).hexdigest()
    return "FAKE-" + "-".join(digest[start : start + 8] for start in range(0, 32, 8))
