"""Images that a test made and removes."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Any

from docker.errors import APIError, ImageNotFound


def remove_images(client: Any, *images: str) -> None:
    """Remove images, in an order that the engine allows: an image after those that are built on it.

    For a moment after a container is gone, the engine may still count it as using its image, so what is refused is tried again.
    """
    deadline = time.monotonic() + 20
    left = list(images)
    while left:
        for image in tuple(left):
            try:
                client.remove_image(image, force=True)
            except ImageNotFound:
                pass  # it went with an image that was built on it
            except APIError as error:
                if error.status_code != HTTPStatus.CONFLICT or time.monotonic() > deadline:
                    raise
                continue
            left.remove(image)
        if left:
            time.sleep(0.1)
