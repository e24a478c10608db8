"""How a route answers when it can't: `{"error": sentence}`, never a traceback."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from fieldmark.storage.errors import FieldmarkError, NotFound, NotSaved

LONGEST_SENTENCE = 1000
_log = logging.getLogger("fieldmark.api")


def install(api: FastAPI) -> None:
    """Make every failure of an app's routes a sentence."""
    api.add_exception_handler(FieldmarkError, _told)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(HTTPException, _plain)
    api.add_exception_handler(ClientDisconnect, _left)
    api.add_exception_handler(Exception, _inside)


def _told(request: Request, error: Exception) -> JSONResponse:
    sentence = str(error)
    if isinstance(error, NotSaved):
        return _answer(503, sentence)
    return _answer(404 if isinstance(error, NotFound) else 400, sentence)


def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    problems = [
        f"{'.'.join(str(part) for part in problem['loc'][1:]) or problem['loc'][0]}: {problem['msg']}"
        for problem in error.errors()
    ]
    return _answer(422, f"the request can't be used: {'; '.join(problems[:5])}")


def _plain(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if error.status_code == 404 and error.detail == "Not Found":
        return _answer(404, f"there is nothing at {request.url.path}")
    return _answer(error.status_code, str(error.detail))


def _left(request: Request, error: Exception) -> JSONResponse:
    """Nobody hears this: the sender went away, as one who reloads in the middle of an upload."""
    return _answer(400, "the request broke off before all of it had arrived")


def _inside(request: Request, error: Exception) -> JSONResponse:
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return _answer(500, f"Fieldmark failed inside ({type(error).__name__}); its log says where")


def _answer(status: int, sentence: str) -> JSONResponse:
    """Answer with a sentence that any client can read: text, and short where it repeats what was sent."""
    text = sentence.encode("utf-8", "replace").decode()
    if len(text) > LONGEST_SENTENCE:
        half = LONGEST_SENTENCE // 2
        text = f"{text[:half]}…{text[-half:]}"
    return JSONResponse({"error": text}, status)
