"""Where the client id, the client secret and kept tokens come from."""
