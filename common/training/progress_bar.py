"""ignite's progress bar, on the main process only and without a look at the loss (which would wait for the GPU)."""

from typing import Any

from ignite.engine import Engine
from ignite.handlers import ProgressBar as IgniteProgressBar

from .processes import is_main_process


class ProgressBar(IgniteProgressBar):
    """Shows epoch, iteration and time left; arguments as ignite's."""

    def attach(self, engine: Engine, *args: Any, **kwargs: Any) -> None:  # type: ignore[override]
        """Show the progress of `engine` where this is the main process."""
        if is_main_process():
            super().attach(engine, *args, **kwargs)
