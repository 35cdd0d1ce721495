"""Fetch keys for a non-commercial licence, one line each, as `sesictrl install` takes them.

The first line shows the name and the code of your licence server, the last runs against a server on this machine:

    sesictrl print-server
    python examples/renew_licence.py my-server 0123abcd > keys.txt
    while read -r key; do sesictrl install "$key"; done < keys.txt
    python examples/renew_licence.py --local
"""

from __future__ import annotations

import argparse
import sys

import sidefx_client as sidefx


def main() -> None:
    needed = "?" if "--local" in sys.argv else None
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("server_name", nargs=needed, default="my-server")
    parser.add_argument("server_code", nargs=needed, default="0123abcd")
    parser.add_argument("--products", default="HOUDINI-NC;RENDER-NC", help="default: %(default)s")
    parser.add_argument("--version", help="of Houdini, such as 20.5; default: the newest")
    parser.add_argument("--local", action="store_true", help="use a server on this machine")
    args = parser.parse_args()
    try:
        if args.local:
            from sidefx_client.testing import LocalServer

            with LocalServer() as server, server.service() as service:
                renew(service, args)
        else:
            with sidefx.service() as service:
                renew(service, args)
    except sidefx.SideFXError as error:
        sys.exit(str(error))


def renew(service: sidefx.Service, args: argparse.Namespace) -> None:
    # Each call makes new keys. It is therefore never sent twice by itself, despite its name.
    keys = service.license.get_non_commercial_license(
        server_name=args.server_name, server_code=args.server_code, products=args.products, version=args.version
    )
    print(keys["server_key"], *keys["license_keys"], sep="\n")


if __name__ == "__main__":
    main()
