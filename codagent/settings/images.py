"""Public images for languages that the shipped sandboxes lack. Each has git, tar and bash, which codagent needs."""

from __future__ import annotations

NODE, GO, RUST = "node:22", "golang:1", "rust:1"
_PROGRAMS = {
    **dict.fromkeys(("node", "npm", "npx", "yarn", "pnpm"), NODE),
    **dict.fromkeys(("go", "gofmt"), GO),
    **dict.fromkeys(("cargo", "rustc"), RUST),
}


def suggest_image(program: str) -> str:
    """Return the line of a settings file that names an image with this program; "": no image is known for it."""
    image = _PROGRAMS.get(program)
    return f'[sandbox] image = "{image}"' if image else ""
