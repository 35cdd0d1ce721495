"""The body of a 500 as on the live API: a stack trace, plain or in a Django debug page."""

from __future__ import annotations

import html
import traceback

from werkzeug import Response

PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head><title>{kind} at /api/</title></head>
<body>
<h1>{kind} at /api/</h1>
<pre class="exception_value">{value}</pre>
<textarea id="traceback_area" cols="140" rows="25">
Environment:


Request Method: POST
Request URL: https://www.sidefx.com/api/

{trace}

Exception Type: {kind} at /api/
Exception Value: {value}
</textarea>
</body>
</html>
"""


def server_error(error: BaseException, debug: bool | str, newline: str) -> Response:
    """Return the response to a call whose function raised ``error``. For ``debug`` and ``newline`` see LocalServer."""
    trace = "".join(traceback.format_exception(type(error), error, error.__traceback__)).rstrip("\n")
    if not debug:
        return Response(trace.replace("\n", newline), 500, mimetype="text/plain")
    page = PAGE.format(
        kind=type(error).__name__,
        value=html.escape(str(error)),
        trace=html.escape(_old_trace(error) if debug == "old" else trace),
    )
    return Response(page.replace("\n", newline), 500, mimetype="text/html")


def _old_trace(error: BaseException) -> str:
    lines = ["Traceback:"]
    for frame in traceback.extract_tb(error.__traceback__):
        lines += [f'File "{frame.filename}" in {frame.name}', f"  {frame.lineno}. {frame.line}"]
    return "\n".join(lines)
