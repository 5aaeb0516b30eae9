"""The limit as Azure functions, for the worker runtime to load as it loads ``function_app.py``."""

import azure.functions as func

from benchmarks import limit

ROUTES = {
    "health": ("GET", "health"),
    "get_profile": ("GET", "api/profile"),
    "list_applications": ("GET", "api/applications"),
    "create_application": ("POST", "api/applications"),
    "refresh": ("POST", "api/auth/refresh"),
    "login": ("POST", "api/auth/login"),
}
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


def _declare(name: str, method: str, path: str) -> None:
    @app.function_name(name)
    @app.route(path, methods=[method])
    async def function(req: func.HttpRequest) -> func.HttpResponse:
        authorization = req.headers.get("authorization", "")
        status, content = await limit.answer(
            method, f"/{path}", req.params.get("limit", ""), authorization, req.get_body()
        )
        return func.HttpResponse(content, status_code=status, mimetype="application/json")


for name, (method, path) in ROUTES.items():
    _declare(name, method, path)
