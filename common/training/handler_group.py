"""Named handlers as one: MONAI's property check and MONAI Label read `handlers` as a list of dictionaries."""

from collections.abc import Sequence
from typing import Any

from ignite.engine import Engine


class HandlerGroup:
    """Attaches its handlers in their order; those that a config disables (None) are left out.

    Args:
        handlers: anything with `attach(engine)`, or None.
    """

    def __init__(self, handlers: Sequence[Any]) -> None:
        self.handlers = [handler for handler in handlers if handler is not None]

    def attach(self, engine: Engine) -> None:
        """Attach all to `engine`."""
        for handler in self.handlers:
            handler.attach(engine)
