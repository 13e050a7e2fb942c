"""From a model's name, as a person writes it, to a Model, its profile and its price."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codagent.errors import LimitReached, ModelError, UsageError
from codagent.files import expand_user
from codagent.models.http.patience import Patience, wait_patiently
from codagent.models.http.retry import PATIENCE_S, retry
from codagent.models.names import KNOWN
from codagent.models.servers.request_options import NO_OPTIONS, RequestOptions
from codagent.models.weights import catalog
from codagent.models.weights.download import is_installed, weights_dir
from codagent.protocols import Model, ignore_text
from codagent.store.price import Price
from codagent.types import Calling, Profile, Sampling

if TYPE_CHECKING:
    from codagent.models.http.client import HttpClient
    from codagent.models.weights.llama_adapter import LlamaAdapter

_OPENROUTER = "openrouter/"
_SERVER = Profile(room_after_cut=2)
_GGUF = Profile(calling="text", context_tokens=16_384, sampling=Sampling(temperature=0.7, top_p=0.95, top_k=40))
# the whole distribution is sampled from, so that recorded replies can be trained on
_ADAPTER = Profile(calling="text", context_tokens=16_384, sampling=Sampling(temperature=1.0, top_p=1.0, top_k=0))


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """What a model is opened with, besides its name."""

    api_key: str | None = None  # for endpoints; litellm reads its own
    named_key: str | None = None  # of this very model, in place of any other; None: there is none
    weights: Path | None = None  # the folder that `pull` downloads to; None: the one in the user's cache
    answered: int = 0  # how many replies of a script an earlier process used
    at_once: int = 1  # how many callers an embedded model serves in parallel
    seconds: float = 60.0  # how long a server may take to list its models
    wait_s: float = PATIENCE_S  # how long a server that fails is asked again
    say: Callable[[str], None] = ignore_text  # hears once a minute that a server is waited for
    request: RequestOptions = NO_OPTIONS  # what is wanted of every request to a server

    def make_patience(self) -> Patience:
        """Make the patience of one model."""
        return Patience(self.wait_s, self.say)


def open_model(spec: str, *, profile: Profile | None = None, options: ModelOptions = ModelOptions()) -> Model:
    """Open the model called `spec`. Slow preparation begins in the background.

    `profile` None means the model's own profile. Raises UsageError for an unknown name and
    for a missing file.
    """
    profile = profile or profile_for(spec)
    kind, _, rest = spec.partition(":")
    if kind in ("http", "https"):
        return _open_endpoint(spec, profile.calling, options)
    if spec.startswith(_OPENROUTER):
        return _open_openrouter(spec.removeprefix(_OPENROUTER), profile.calling, options)
    if kind == "scripted":
        from codagent.models.scripted import Scripted

        return Scripted.from_file(Path(rest), answered=options.answered)
    if kind in ("embedded", "gguf"):
        from codagent.models.weights.embedded import Embedded

        file = expand_user(rest) if kind == "gguf" else _weights_file(_entry_for(spec), options.weights or weights_dir(None))
        return Embedded(spec, file, profile=profile, at_once=options.at_once)
    if kind == "adapter":
        return _open_adapter(spec, profile, options)
    from codagent.models.servers.litellm import LiteLLM

    return LiteLLM(
        full_name(spec), calling=profile.calling, api_key=options.named_key, options=options.request, patience=options.make_patience()
    )


def full_name(spec: str) -> str:
    """Return the name by which a model is asked. litellm sends no tools to `ollama/NAME`, but it does to `ollama_chat/NAME`."""
    provider, slash, name = spec.partition("/")
    return f"ollama_chat/{name}" if slash and provider == "ollama" else spec


def profile_for(spec: str) -> Profile:
    """Return how to work with the model called `spec`. Raises UsageError for an unknown name. For a litellm name this imports litellm."""
    kind, _, _ = spec.partition(":")
    if kind == "embedded":
        return _entry_for(spec).profile
    if kind == "gguf":
        return _GGUF
    if kind == "adapter":
        return _profile_of_adapter(spec)
    if kind == "scripted":
        return Profile()
    if kind in ("http", "https"):
        return _SERVER
    if "/" in spec:
        from codagent.models.servers.litellm_table import find_profile

        return find_profile(full_name(spec), _SERVER)
    raise UsageError(f"unknown model {spec!r}: {KNOWN}")


def find_adapter(spec: str) -> LlamaAdapter | str:
    """Return the adapter that `adapter:RUN` names, for llama.cpp; a reason in words when llama.cpp cannot use it."""
    from codagent.models.weights import llama_adapter

    cache_home = os.environ.get("XDG_CACHE_HOME")
    return llama_adapter.find_adapter(expand_user(spec.partition(":")[2]), weights_dir(cache_home))


def _profile_of_adapter(spec: str) -> Profile:
    from codagent.models.weights.llama_adapter import find_profile

    adapter = find_adapter(spec)
    return (find_profile(expand_user(spec.partition(":")[2])) if isinstance(adapter, str) else adapter.profile) or _ADAPTER


def find_window(model: Model) -> int | None:
    """Return how many tokens the model's server says that it takes. None: it does not say, or it was not asked."""
    from codagent.models.servers.openai_api import OpenAIModel

    return model.window if isinstance(model, OpenAIModel) else None


def price_for(spec: str) -> Price | None:
    """Return what a token of the model costs. Returns None when the price is not known. For a model of litellm this imports litellm."""
    kind = spec.partition(":")[0]
    if kind in ("adapter", "embedded", "gguf", "scripted"):
        return Price(0.0, 0.0)
    if kind in ("http", "https"):
        return None
    from codagent.models.servers.litellm_table import find_price

    return find_price(spec)


def _open_adapter(spec: str, profile: Profile, options: ModelOptions) -> Model:
    """Open an adapter: in llama.cpp over its quantised base where that is possible, else served by transformers."""
    adapter = find_adapter(spec)
    if isinstance(adapter, str):
        from codagent.models.weights.adapter import Adapter

        return Adapter(spec, expand_user(spec.partition(":")[2]), profile=profile)
    from codagent.models.weights.embedded import Embedded

    base = adapter.find_base(options.weights or weights_dir(None))
    return Embedded(spec, base, profile=profile, at_once=options.at_once, adapter=(adapter.file, adapter.policy))


def _entry_for(spec: str) -> catalog.Entry:
    entry = catalog.find_entry(spec.partition(":")[2] or catalog.DEFAULT)
    if entry is None:
        raise UsageError(f"unknown model {spec!r}: {KNOWN}")
    return entry


def _weights_file(entry: catalog.Entry, directory: Path) -> Path:
    """Return the file of an entry's weights. Raises UsageError when they were not downloaded."""
    if not is_installed(entry, directory):
        raise UsageError(
            f"the weights of {entry.name} are missing ({entry.size / 1e6:,.0f} MB); download them with: codagent models pull {entry.name}"
        )
    return directory / entry.file


def _open_endpoint(spec: str, calling: Calling, options: ModelOptions) -> Model:
    """Open a model behind a URL.

    A URL without a model name is asked for its models. If the server is llama.cpp and calls are not native, its own API is used.
    """
    from codagent.models.http.client import HttpClient
    from codagent.models.servers.llama_cpp import Llama
    from codagent.models.servers.openai_api import OpenAIModel
    from codagent.models.servers.server_facts import default_model

    api_key, patience = options.named_key or options.api_key, options.make_patience()
    url, _, name = spec.partition("#")
    if not name:
        client = HttpClient(url, api_key=api_key, headers=options.request.headers)
        name = default_model(_list_models(client, options.seconds))
        client.close()
        if not name:
            raise ModelError(f"endpoint {url} names no model; append it to the address: {url}#NAME")
        if client.server == "llama.cpp" and calling != "native":
            root = HttpClient(url.rstrip("/").removesuffix("/v1"), api_key=api_key, local=True)
            return Llama(root, f"{url}#{name}", weights=name, calling=calling, patience=patience)
    return OpenAIModel(url, name, calling=calling, api_key=api_key, options=options.request, patience=patience)


def _open_openrouter(name: str, calling: Calling, options: ModelOptions) -> Model:
    """Open a model of OpenRouter without litellm, which drops the signatures of reasoning from its streams."""
    from codagent.models.servers.openai_api import OpenAIModel

    url = os.environ.get("OPENROUTER_API_BASE") or "https://openrouter.ai/api/v1"
    request = replace(options.request, marks="claude" in name, ask_server=False)
    api_key = options.named_key or os.environ.get("OPENROUTER_API_KEY")
    return OpenAIModel(url, name, calling=calling, api_key=api_key, options=request, patience=options.make_patience())


def _list_models(client: HttpClient, seconds: float) -> dict[str, Any]:
    """Ask a server for its models. Raises LimitReached when it has not answered after `seconds`."""
    deadline = time.monotonic() + seconds

    def check_time(_: str) -> None:
        if time.monotonic() > deadline:
            raise LimitReached("seconds", f"{client.who} has not listed its models within {seconds:g} s; name one: {client.url}#NAME")

    return wait_patiently(lambda _: retry(lambda: client.get_json("/models"), PATIENCE_S), check_time)
