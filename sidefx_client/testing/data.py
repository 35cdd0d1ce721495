"""Realistic builds: several versions, platforms, compilers and products. All of it is made up."""

from __future__ import annotations

import functools
import hashlib

Build = dict[str, str]

# Short name of a platform: the prefix of its long forms.
PLATFORMS = {
    "win64": "win64",
    "macos": "macosx_x86_64",
    "macosx_arm64": "macosx_arm64",
    "linux": "linux_x86_64",
    "linux_arm64": "linux_arm64",
}

# Version: the long forms of its platforms. A build can have several compiler variants, as those of 20.0 for Linux.
COMPILERS = {
    "19.5": ("linux_x86_64_gcc9.3", "macosx_arm64_clang12.0_11", "macosx_x86_64_clang12.0_11", "win64-vc142"),
    "20.0": (
        "linux_x86_64_gcc11.2",
        "linux_x86_64_gcc9.3",
        "macosx_arm64_clang14.0_13",
        "macosx_x86_64_clang14.0_13",
        "win64-vc143",
    ),
    "20.5": ("linux_x86_64_gcc11.2", "macosx_arm64_clang15.0_14", "macosx_x86_64_clang15.0_14", "win64-vc143"),
    "21.0": ("linux_x86_64_gcc11.2", "macosx_arm64_clang15.0_14", "macosx_x86_64_clang15.0_14", "win64-vc143"),
    "22.0": ("linux_arm64_gcc14.2", "linux_x86_64_gcc14.2", "macosx_arm64_clang17.0_15", "win64-vc143"),
}

# Numbers of two, three and four digits in one version, because the live server sorts them as strings.
# Version: number, date, release and status of its builds, oldest first.
RELEASES = {
    "19.5": ("303 2022/07/20 gold good", "368 2022/09/23 gold good", "805 2023/10/20 gold good"),
    "20.0": (
        "95 2022/12/05 devel good",
        "382 2023/10/26 devel good",
        "506 2023/11/21 gold good",
        "688 2024/05/02 gold good",
        "1007 2025/03/14 gold good",
    ),
    "20.5": (
        "99 2023/11/08 devel good",
        "278 2024/07/11 gold good",
        "445 2024/12/19 gold good",
        "583 2025/04/17 gold good",
        "601 2025/05/05 devel good",
        "1002 2025/06/10 devel bad",
    ),
    "21.0": (
        "440 2025/08/21 gold good",
        "512 2025/10/16 gold good",
        "541 2025/11/14 devel good",
        "542 2025/11/15 devel bad",
    ),
    "22.0": (
        "99 2026/04/09 devel good",
        "368 2026/08/20 gold good",
        "415 2026/10/15 gold good",
        "436 2026/11/05 devel good",
        "437 2026/11/06 devel bad",
    ),
}
LATEST = "22.0"

# Product: the versions that it has builds of. The live server knows more products, and their list grows.
PRODUCTS: dict[str, tuple[str, ...]] = {
    "houdini": ("19.5", "20.0", "20.5", "21.0", "22.0"),
    "houdini-py37": ("19.5",),
    "houdini-py39": ("20.0",),
    "houdini-py310": ("20.5",),
    "houdini-qt6": ("20.5", "21.0"),
    "docker": ("20.0", "20.5", "21.0", "22.0"),
    "sidefxlabs": ("20.0", "20.5", "21.0", "22.0"),
    "houdini-launcher": ("20.5", "21.0", "22.0"),
    "houdini-launcher-py37": ("19.5",),
    "launcher-iso": ("20.5", "21.0", "22.0"),
    "launcher-iso-py37": ("19.5",),
}

# Products for which the platform is ignored: the platform of their builds, and the suffix of their files.
PORTABLE = {"docker": ("linux_x86_64_gcc11.2", ".tar.gz"), "sidefxlabs": ("all", ".zip")}

# Changelog entries, newest first: title and HTML.
CHANGES = (
    ("Fixed a crash of the Vellum Solver.", "<p>Fixed a crash if the <code>Vellum Solver</code> had no input.</p>"),
    ("Improved the Scatter SOP.", "<p>Added a <b>Seed</b> parameter to the Scatter SOP &amp; its handles.</p>"),
    ("Fixed duplicate log lines.", "<p>The <code>hserver</code> log is no longer written twice.</p>"),
)


@functools.lru_cache(maxsize=1)
def builds() -> tuple[Build, ...]:
    """Return every build, newest version first, then by number compared as strings, as the live server does."""
    found = [
        dict(
            zip(("build", "date", "release", "status"), line.split()),
            platform=platform,
            product=product,
            version=version,
        )
        for product, versions in PRODUCTS.items()
        for version in versions
        for line in RELEASES[version]
        for platform in (PORTABLE[product][:1] if product in PORTABLE else COMPILERS[version])
    ]
    return tuple(sorted(found, key=lambda build: (float(build["version"]), build["build"]), reverse=True))


def filename(build: Build) -> str:
    """Return the file name of ``build``."""
    product, platform = build["product"], build["platform"]
    if product in PORTABLE:
        suffix = PORTABLE[product][1]
    elif product.startswith("launcher-iso"):
        suffix = ".iso"
    else:
        suffix = {"w": ".exe", "m": ".dmg", "l": ".tar.gz"}[platform[0]]
    return f"{product}-{build['version']}.{build['build']}-{platform}{suffix}"


@functools.lru_cache(maxsize=4)
def content(name: str, size: int) -> bytes:
    """Return the ``size`` bytes of the file called ``name``: always the same, and different for each name."""
    return hashlib.shake_128(name.encode()).digest(size)
