"""Images that a test made and removes."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Any

from docker.errors import APIError


def remove_image(client: Any, image: str) -> None:
    """Remove an image. For a moment after a container is gone, the engine may still count it as using its image."""
    deadline = time.monotonic() + 20
    while True:
        try:
            client.remove_image(image, force=True)
            return
        except APIError as error:
            if error.status_code != HTTPStatus.CONFLICT or time.monotonic() > deadline:
                raise
            time.sleep(0.1)
