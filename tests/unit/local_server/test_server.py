"""The service that the server makes: here the client comes in."""

from __future__ import annotations

import pytest

from sidefx_client.testing import LocalServer


@pytest.mark.parametrize("tls", [False, True])
def test_its_service_is_connected_and_options_win(tls: bool) -> None:
    import sidefx_client

    with LocalServer(tls=tls) as server:
        assert ("REQUESTS_CA_BUNDLE" in server.environment) == tls
        with server.service() as service:
            assert (
                service.download.get_daily_builds_list("houdini", version="21.0", platform="linux")[0]["build"] == "542"
            )
        with pytest.raises(sidefx_client.AuthorizationError, match="403: Invalid client"):
            server.service(client_secret_key="wrong", retries=0)
        assert server.environment["SIDEFX_ENDPOINT_URL"] == server.endpoint_url


def test_the_service_of_a_server_without_authentication_asks_for_no_token() -> None:
    import sidefx_client

    with LocalServer(authenticate=False) as hserver:
        hserver.register("pull_cookies", lambda: "crumbs")
        with hserver.service() as service:
            assert sidefx_client.call(service, "pull_cookies") == "crumbs"
        assert hserver.token_requests == 0
        assert "Authorization" not in hserver.calls[0].headers
