"""Create keys for a non-commercial license, one per line, for `sesictrl install`.

sesictrl print-server                                             shows name and code of your license server
python examples/renew_license.py my-server 0123abcd > keys.txt
while read -r key; do sesictrl install "$key"; done < keys.txt
python examples/renew_license.py --local                          with a server on this machine
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
    # Each call creates new keys, so it is never retried after it was sent, although its name begins with get_.
    keys = service.license.get_non_commercial_license(
        server_name=args.server_name, server_code=args.server_code, products=args.products, version=args.version
    )
    print(keys["server_key"], *keys["license_keys"], sep="\n")


if __name__ == "__main__":
    main()
