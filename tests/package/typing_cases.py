"""Types in a user's code: checked by mypy and pyright in tests/unit/test_documented.py, never run.

Both report unused ignore comments, so the check also fails if a mistake is no longer flagged.
"""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from typing import Any

from typing_extensions import assert_type

import sidefx_client as sidefx
from sidefx_client.documented.functions import BuildDownload, DailyBuild, SubmissionOptions


def documented_functions_have_their_types(service: sidefx.Service) -> None:
    builds = service.download.get_daily_builds_list("houdini")
    assert_type(builds, list[DailyBuild])
    assert_type(service.download.get_daily_builds_list("new", ["20.0", "20.5"], "linux", True), list[DailyBuild])
    build = service.download.get_daily_build_download("houdini", "20.5", "production", platform="linux")
    assert_type(build, BuildDownload)
    assert_type(build["size"], int)
    assert_type(service.bugs.get_submission_options(), SubmissionOptions)
    filed = service.bugs.submit_issue("SEV5", "All", "bug", "general", "All", "20.5.410", "summary", "description")
    assert_type(filed, dict[str, Any])


def undocumented_functions_are_callable(service: sidefx.Service) -> None:
    assert_type(service.hpack.upload_chunk(1, data=bytearray(b"x")), Any)
    assert_type(service.a.b.c(timeout=1, args=2), Any)
    assert_type(service.download.not_in_the_catalogue("houdini", anything=True), Any)
    assert_type(sidefx.call(service, "keys"), Any)


def mistakes_are_flagged(service: sidefx.Service) -> None:
    service.download.get_daily_builds_list("houdini", verison="20.5")  # type: ignore[call-arg]
    service.download.get_daily_builds_list(20.5)  # type: ignore[arg-type]
    service.license.get_non_commercial_license("a", "b", "c")  # type: ignore[call-arg]
    service.bugs.get_submission_options()["products"]["All"]  # type: ignore[call-overload]
    service.download.get_daily_builds_list("houdini")[0]["bild"]  # type: ignore[typeddict-item]


def the_service_has_its_own_types() -> None:
    with sidefx.service("id", "secret", timeout=(10, None), token_cache="cache.json") as service:
        assert_type(service, sidefx.Service)
        assert_type(service.endpoint_url, str)
        assert_type(service.access_token_expiry_time, "float | None")
