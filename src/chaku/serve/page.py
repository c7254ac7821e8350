"""The page in the browser: its files, which lie in `page/` and are served as they are."""

from importlib.resources import files

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from chaku.serve.http import Contract, Handler
from chaku.serve.models import Served
from chaku.serve.openai import error_body

MEDIA_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
# The page shows what models write. Even if some of it were not escaped, this policy lets nothing run that is not a file
# of the page, and lets the page talk to this server alone.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # a new version of the server has new files under the same names
}


def contract(served: Served) -> Contract:
    """`/` and the page's files. They need no key: the page asks the user for the key, and sends it to the other routes.

    Each file is a route of its own, so no path can name another file.
    """
    routes: list[tuple[str, str, Handler]] = []
    for file in files("chaku.serve").joinpath("page").iterdir():
        media_type = MEDIA_TYPES.get(f".{file.name.rpartition('.')[2]}")
        if media_type:
            path = "/" if file.name == "index.html" else f"/page/{file.name}"
            routes.append(("GET", path, _sender(file.read_bytes(), media_type)))
    return Contract(routes, error_body, closed=False)


def _sender(content: bytes, media_type: str) -> Handler:
    async def send(request: HttpRequest) -> Response:
        return Response(content, headers=HEADERS, media_type=media_type)

    return send
