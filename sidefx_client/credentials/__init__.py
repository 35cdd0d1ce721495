"""The sources of the client id and secret, and the file that keeps tokens."""
