"""/docs: the API's description to try out, without a script, style or picture of another host."""

from importlib import resources
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse, HTMLResponse, Response

from api.problems import Problem
from api.security_headers import NOWHERE

# Swagger UI as its makers ship it, in a package; nothing of that package's code is used.
FILES = Path(str(resources.files("fastapi_swagger.resources")))
ASSETS = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}
# Its icons are data: addresses; styles and scripts are files.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    f"img-src 'self' data:; connect-src 'self'; {NOWHERE}"
)
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Penstock: API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<noscript>The description itself: <a href="openapi.json">openapi.json</a></noscript>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
START = """window.ui = SwaggerUIBundle({
  url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null
});
"""
KEPT = {"Cache-Control": "max-age=3600"}


def add(app: FastAPI) -> None:
    """Add the page and what it loads. The application must be made with `docs_url=None`."""

    @app.get("/docs", include_in_schema=False)
    async def page() -> HTMLResponse:
        return HTMLResponse(PAGE, headers={"Content-Security-Policy": POLICY})

    @app.get("/docs/{name}", include_in_schema=False)
    async def asset(name: str) -> Response:
        if name == "start.js":
            return Response(START, media_type="text/javascript", headers=KEPT)
        if name not in ASSETS:
            raise Problem(404, "Not Found")
        return FileResponse(FILES / name, media_type=ASSETS[name], headers=KEPT)
