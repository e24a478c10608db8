"""Pretrained weights in the Hugging Face hub's cache: what is there, and the one way to fetch the rest."""

from __future__ import annotations

import http.client
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fieldmark import PluginError

_SECONDS_TO_ANSWER = 4.0


def hub_file(architecture: str, pretrained_cfg: Any) -> tuple[str, str]:
    """Return the hub repository and the file in it that hold an architecture's weights.

    `pretrained_cfg` is timm's. Raises `PluginError` when timm knows none, or none as safetensors.
    """
    repo = getattr(pretrained_cfg, "hf_hub_id", None)
    if not repo:
        raise PluginError(
            f"timm has no pretrained weights for {architecture}: give a .safetensors file as weights, or choose "
            "another architecture."
        )
    file = getattr(pretrained_cfg, "hf_hub_filename", None) or "model.safetensors"
    if not file.endswith(".safetensors") or getattr(pretrained_cfg, "custom_load", False):
        raise PluginError(
            f"The pretrained weights of {architecture} are not offered as safetensors ({repo}/{file}) and are not "
            "read; choose another architecture or tag."
        )
    return str(repo), str(file)


def cached(repo: str, file: str) -> Path | None:
    """Return the path of a file in the hub's cache, or None; touches no network."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repo, file)
    return Path(found) if isinstance(found, str) and Path(found).exists() else None


def download(repo: str, file: str, report: Callable[[int, int], None]) -> None:
    """Fetch one file into the hub's cache, calling `report(done, total)` in bytes.

    Raises `PluginError` within about five seconds when the hub does not answer.
    """
    from huggingface_hub import constants, errors, hf_hub_download

    if constants.HF_HUB_OFFLINE:
        raise PluginError(
            f"{repo} was not fetched because downloads are switched off (HF_HUB_OFFLINE or --offline); switch them "
            "on, or give a .safetensors file as weights."
        )
    endpoint = constants.ENDPOINT
    _probe(endpoint, repo)
    try:
        hf_hub_download(repo, file, tqdm_class=_progress(report), etag_timeout=5)
    except errors.GatedRepoError as error:
        raise PluginError(
            f"{repo} is only given to people who accepted its terms: accept them on its page at {endpoint}, and set "
            "HF_TOKEN to your token."
        ) from error
    except (errors.RepositoryNotFoundError, errors.RemoteEntryNotFoundError) as error:
        raise PluginError(
            f"{endpoint} has no {file} in {repo}; choose another architecture or tag."
        ) from error
    except Exception as error:
        raise PluginError(_failure(repo, endpoint, error)) from error


def _failure(repo: str, endpoint: str, error: Exception) -> str:
    from huggingface_hub import errors

    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, OSError) and error.errno is not None and error.strerror:
        return f"{repo} could not be stored in the hub's cache: {error.strerror}. Make room or set HF_HOME, then retry."
    if status is not None:
        return f"{endpoint} answered {status} when asked for {repo}; try again later."
    if isinstance(error, errors.LocalEntryNotFoundError):
        return f"{endpoint} did not answer when asked for {repo}; check the connection and try again."
    return f"The download of {repo} from {endpoint} broke off ({type(error).__name__}); try again."


def _probe(endpoint: str, repo: str) -> None:
    """Ask once: without this a hub that does not answer takes the hub library minutes to give up."""
    answered = threading.Event()

    def ask() -> None:
        class Stay(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, *_: Any) -> None:
                return None

        try:
            request = urllib.request.Request(endpoint, method="HEAD")
            urllib.request.build_opener(Stay).open(request, timeout=_SECONDS_TO_ANSWER).close()
        except urllib.error.HTTPError as error:
            error.close()
        except urllib.error.URLError as error:
            # A certificate that Python refuses may still suit the hub library, which brings its own list.
            if not isinstance(error.reason, ssl.SSLError):
                return
        except (OSError, ValueError, http.client.HTTPException):
            return
        answered.set()

    # A name look-up has no time limit of its own, so it gets a thread that may be left behind.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_SECONDS_TO_ANSWER + 0.5)
    if not answered.is_set():
        raise PluginError(
            f"{endpoint} cannot be reached, so the weights {repo} were not fetched. Connect this machine to the "
            "network, set HF_ENDPOINT to a mirror, or give a .safetensors file as weights."
        )


def _progress(report: Callable[[int, int], None]) -> type[Any]:
    from huggingface_hub.utils.tqdm import tqdm

    class Reporting(tqdm):
        """Tells `report` what tqdm would have drawn."""

        monitor_interval = 0

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "disable": True})  # type: ignore[no-untyped-call]
            self.fetched = int(kwargs.get("initial") or 0)
            self.size = int(kwargs.get("total") or 0)

        def update(self, n: float | None = 1) -> None:
            self.fetched += int(n or 0)
            report(self.fetched, max(self.size, self.fetched))

    return Reporting
