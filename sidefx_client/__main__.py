"""``python -m sidefx_client`` is ``sidefx-client``."""

from .cli import main

if __name__ == "__main__":
    raise SystemExit(main())
