"""transformers' own OpenAI-compatible server, on this machine alone, with what it lacks set before its doors.

Nothing of the answering is ours. What is added, each because `transformers serve` (5.23) does without:

- a token, if wanted, that every request but /health must bring;
- only names of this machine as `Host`, so that no web page reaches the server through a name of its own;
- no loading of other models (/load_model) and no unloading (/reset); /v1/models names the one that is served;
- a prompt that is longer than the model reads is refused; there the server would go on into positions that were never
  trained, or fail while it answers; and an answer ends where the window does;
- an answer is as long as the export says where a request says nothing; there it is at least 1024 tokens;
- at the end running answers have a few seconds; there the server waits for them for ever.
"""

from __future__ import annotations

import functools
import hmac
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ftlib.errors import UserError

HOST = "127.0.0.1"
GRACE_SECONDS = 5  # for answers that are being written when the server is told to end
_NAMES = (HOST, "localhost")
_OPEN, _CLOSED = {"/health"}, {"/load_model", "/reset"}
_NEEDED = ("fastapi", "uvicorn", "openai", "rich")


def serve_folder(
    folder: Path, *, port: int, token: str | None = None, dtype: str = "auto", options: Sequence[str] = ()
) -> None:
    """Serve a merged export until Ctrl-C or SIGTERM; ends this process then, with exit code 0.

    Args:
        folder: the export; the model is called by its name.
        port: a free one of this machine, from `free_port`.
        token: what clients must send as their key; None: nothing.
        dtype: what it computes in, e.g. "bfloat16".
        options: more for `transformers serve`, e.g. `["--continuous-batching"]`.

    Raises:
        UserError: what the server needs is not installed.
    """
    require_installed()
    from transformers.cli.transformers import app

    os.chdir(folder.parent)  # the model's name is a path to the server
    _guard(folder.name, token)
    for number in (signal.SIGINT, signal.SIGTERM):  # uvicorn takes them over, and raises them again once it has ended
        signal.signal(number, lambda *_: sys.exit(0))
    app(["serve", folder.name, "--host", HOST, "--port", str(port), "--dtype", dtype, *options])


def free_port(port: int = 0) -> int:
    """The port itself if nobody listens there, or for 0 any free one.

    Raises:
        UserError: it is taken.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            fix = "name another one, or 0 for any free one"
            raise UserError.of(f"--port {port}", "a port that is free", error.strerror or "none", fix) from None
        return probe.getsockname()[1]


def token_from(name: str | None) -> str | None:
    """The token in an environment variable; None where none is named.

    Raises:
        UserError: the variable is not set, or empty.
    """
    if name is None:
        return None
    if not (token := os.environ.get(name, "").strip()):
        fix = f"export {name}=..., of letters and digits, in the shell that starts the server"
        raise UserError.of(f"--token-env {name}", "an environment variable with a token", "none of this name", fix)
    return token


def require_installed() -> None:
    """Raises UserError where the server's libraries are missing."""
    if missing := [name for name in _NEEDED if find_spec(name) is None]:
        raise UserError.of("ftlib serve", "the extra `serve`", f"no {', '.join(missing)}", "pip install 'ftlib[serve]'")


class PromptTooLong(Exception):
    """A prompt that leaves no room for an answer in what the model reads."""


class Door:
    """What every request passes first (ASGI): no closed path, and the token where one is set."""

    def __init__(self, app: Callable, token: str | None):
        self._app, self._wanted = app, None if token is None else f"Bearer {token}".encode()

    async def __call__(self, scope: dict[str, Any], receive: Callable, send: Callable) -> None:
        """Hand the request on, or answer it with 401 or 404."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        path, said = scope["path"].rstrip("/"), dict(scope["headers"]).get(b"authorization", b"")
        if self._wanted and path not in _OPEN and not hmac.compare_digest(said, self._wanted):
            told = "expected the server's token as `Authorization: Bearer ...`"
            return await _refusal(401, told, "invalid_api_key")(scope, receive, send)
        if path in _CLOSED:
            return await _refusal(404, "one model is served here", "not_found")(scope, receive, send)
        await self._app(scope, receive, send)


def fit_window(window: int | None, tokens: int, max_new_tokens: int) -> int:
    """How many of the tokens wanted may be written after a prompt in what the model reads (None: no limit is known).

    Raises:
        PromptTooLong: the prompt leaves no room for one.
    """
    if window is None:
        return max_new_tokens
    if tokens >= window:
        told = f"the prompt has {tokens} tokens; the model reads {window}, the answer included: shorten it"
        raise PromptTooLong(told)
    return min(max_new_tokens, window - tokens)


def _guard(model: str, token: str | None) -> None:
    """Put the guards into transformers' server, for the rest of this process."""
    import uvicorn
    from fastapi.middleware.trustedhost import TrustedHostMiddleware
    from transformers.cli.serving import model_manager, server, utils

    build = server.build_server

    def build_guarded(*parts: Any, **more: Any) -> Any:
        app = build(*parts, **more)
        app.add_exception_handler(PromptTooLong, _refuse_prompt)
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=[*_NAMES])
        app.add_middleware(Door, token=token)
        return app

    listed = [{"id": model, "object": "model", "created": 0, "owned_by": "ftlib"}]
    server.build_server = build_guarded
    model_manager.ModelManager.get_gen_models = staticmethod(lambda cache_dir=None: listed)
    uvicorn.Config = functools.partial(uvicorn.Config, timeout_graceful_shutdown=GRACE_SECONDS)  # type: ignore[misc, assignment]
    utils.BaseHandler._build_generation_config = _as_exported(utils.BaseHandler._build_generation_config)
    for manager in (utils.GenerateManager, utils.CBGenerateManager):
        for name in ("generate_streaming", "generate_non_streaming"):
            setattr(manager, name, _within_window(getattr(manager, name)))


def _as_exported(build: Callable) -> Callable:
    """Without the server's least length of 1024 tokens; what a request asks for is set after this."""

    @functools.wraps(build)
    def built(self: Any, body: dict, exported: Any, *parts: Any, **more: Any) -> Any:
        config = build(self, body, exported, *parts, **more)
        if body.get("generation_config") is None and exported.max_new_tokens:
            config.max_new_tokens = exported.max_new_tokens
        return config

    return built


def _within_window(write: Callable) -> Callable:
    """Refuses a prompt that is too long with status 400, before anything of an answer is sent."""

    @functools.wraps(write)
    def written(self: Any, model: Any, processor: Any, inputs: Any, config: Any, *parts: Any, **more: Any) -> Any:
        from ftlib.core.generate import context_window

        ids = inputs["input_ids"]
        tokens = len(ids) if isinstance(ids, list) else ids.shape[-1]
        config.max_new_tokens = fit_window(context_window(model), tokens, config.max_new_tokens)
        return write(self, model, processor, inputs, config, *parts, **more)

    return written


async def _refuse_prompt(request: Any, error: Exception) -> Any:
    return _refusal(400, str(error), "context_length_exceeded")


def _refusal(status: int, message: str, code: str) -> Any:
    """An error in the form that OpenAI's clients show."""
    from fastapi.responses import JSONResponse

    return JSONResponse({"error": {"message": message, "type": "invalid_request_error", "code": code}}, status)
